// SPDX-License-Identifier: Apache-2.0
// A guest under QEMU without holmd: booted from its kernel, its agent spoken to over the hello and
// HTTP/2 (docs/agent-protocol.md), with node's own HTTP/2 client. For tests of the agent in a real
// guest, and for the cold boot that the benchmark compares with.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import http2 from 'node:http2';
import net from 'node:net';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const BOOT_PATIENCE_MS = 180_000;
const HELLO_EVERY_MS = 100;

// One exec frame: type, length in three bytes, payload.
function frame(type, payload = '') {
  const data = Buffer.from(payload);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  head[0] = type.charCodeAt(0);
  return Buffer.concat([head, data]);
}

// All frames of an answer: [{type, data}].
function frames(bytes) {
  const found = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt32BE(at) & 0xffffff;
    found.push({ type: String.fromCharCode(bytes[at]), data: bytes.subarray(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  return found;
}

export class Guest {
  // dir: an empty directory for the socket and the console's log. The image is not written.
  static async boot({ dir, kernel, rootfs, memoryMib = 256, machine = 'pc', cpu = 'max' }) {
    const guest = new Guest();
    guest.socketPath = join(dir, 'agent.sock');
    guest.consolePath = join(dir, 'console.log');
    guest.process = spawn('qemu-system-x86_64', [
      '-M', `${machine},usb=off,vmport=off,graphics=off`, '-accel', 'tcg,thread=multi', '-cpu', cpu,
      '-m', String(memoryMib), '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
      '-kernel', join(kernel, 'vmlinuz'), '-initrd', join(kernel, 'initrd.img'),
      '-append', 'console=ttyS0 quiet loglevel=4 reboot=t panic=-1 random.trust_cpu=on no_timer_check mitigations=off tsc=reliable',
      '-drive', `file=${rootfs},format=raw,if=virtio,snapshot=on`,
      '-device', 'virtio-serial-pci', '-chardev', `socket,id=agent,path=${guest.socketPath},server=on,wait=off`,
      '-device', 'virtserialport,chardev=agent,name=org.holm.agent', '-device', 'virtio-rng-pci',
      '-serial', `file:${guest.consolePath}`,
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
    guest.exited = once(guest.process, 'exit');
    process.once('exit', () => guest.process.kill('SIGKILL'));
    try {
      await guest.connect();
      await guest.sayHello();
      guest.session = http2.connect('http://guest', { createConnection: () => guest.socket });
      guest.session.on('error', () => {}); // a guest that powers off ends it
    } catch (error) {
      await guest.kill();
      throw new Error(`${error.message}; console:\n${guest.console().slice(-3000)}`);
    }
    return guest;
  }

  console() {
    return existsSync(this.consolePath) ? readFileSync(this.consolePath, 'utf8') : '';
  }

  // QEMU makes the socket shortly after its start; there is no event to wait for.
  async connect() {
    for (let tries = 0; ; tries++) {
      try {
        this.socket = net.connect(this.socketPath);
        await once(this.socket, 'connect');
        return;
      } catch (error) {
        if (tries > 500 || this.process.exitCode !== null) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 10); });
      }
    }
  }

  // Repeats the hello until it is answered; what else comes before is skipped.
  async sayHello() {
    const line = `HOLM/1 ${randomBytes(16).toString('hex')}\n`;
    let seen = '';
    const repeat = setInterval(() => this.socket.write(line), HELLO_EVERY_MS);
    const patience = AbortSignal.timeout(BOOT_PATIENCE_MS);
    try {
      this.socket.write(line);
      while (!seen.includes(line)) {
        const [data] = await Promise.race([
          once(this.socket, 'data', { signal: patience }),
          this.exited.then(() => { throw new Error('the guest ended before its agent answered'); }),
        ]);
        seen = (seen + data.toString('latin1')).slice(-4096);
      }
    } finally {
      clearInterval(repeat);
      this.socket.pause();
    }
  }

  // One request: {status, body}.
  async request(method, path, body) {
    const stream = this.session.request({ ':method': method, ':path': path }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const parts = [];
    let status;
    stream.on('response', (headers) => { status = headers[':status']; });
    for await (const part of stream) parts.push(part);
    return { status, body: Buffer.concat(parts) };
  }

  async json(method, path, body) {
    const answer = await this.request(method, path, body === undefined ? undefined : JSON.stringify(body));
    return { status: answer.status, ...JSON.parse(answer.body.toString() || '{}') };
  }

  ready() {
    return this.json('GET', '/v1/ready');
  }

  put(path, content, { mode = '0644', uid = 0 } = {}) {
    return this.request('PUT', `/v1/files?path=${encodeURIComponent(path)}&mode=${mode}&uid=${uid}&gid=${uid}&parents=1`, content);
  }

  // Runs a program to its end: {stdout, stderr, exit}.
  async exec(argv, { stdin = '', uid = 0, timeoutMs = 60_000 } = {}) {
    const spec = { argv, cwd: '/', uid, gid: uid, timeout_ms: timeoutMs, stdin: true,
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' } };
    const { status, body } = await this.request('POST', '/v1/exec',
      Buffer.concat([frame('S', JSON.stringify(spec)), frame('S'), ...(stdin ? [frame('I', stdin)] : [])]));
    if (status !== 200) throw new Error(`exec ${argv}: ${status} ${body}`);
    const all = frames(body);
    const text = (type) => Buffer.concat(all.filter((f) => f.type === type).map((f) => f.data)).toString();
    return { stdout: text('O'), stderr: text('E'), exit: JSON.parse(text('X')) };
  }

  async kill() {
    this.session?.destroy();
    this.socket?.destroy();
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.exited;
  }
}
