// SPDX-License-Identifier: Apache-2.0
// The smallest HTTP client that does: one keep-alive connection, one request at a time, raw socket.
// Node's own client costs about as much as what is measured where no VM is involved.
import net from 'node:net';
import { once } from 'node:events';

export class Client {
  static async connect(address) {
    const client = new Client();
    const [host, port] = address.split(':');
    client.socket = net.connect({ host, port, noDelay: true });
    await once(client.socket, 'connect');
    client.socket.on('data', (data) => client.receive(data));
    const gone = (error) => client.reject?.(error instanceof Error ? error : new Error('connection closed'));
    client.socket.on('error', gone).on('close', gone);
    client.received = Buffer.alloc(0);
    return client;
  }

  receive(data) {
    this.received = this.received.length ? Buffer.concat([this.received, data]) : data;
    const head = this.received.indexOf('\r\n\r\n');
    if (head < 0) return;
    const headers = this.received.toString('latin1', 0, head);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(headers)?.[1] ?? 0);
    if (this.received.length < head + 4 + length) return;
    const body = this.received.subarray(head + 4, head + 4 + length);
    this.received = this.received.subarray(head + 4 + length);
    this.resolve({ status: Number(headers.slice(9, 12)), headers, body });
  }

  // bytes: a whole request, made by `post` or `get`.
  send(bytes) {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.socket.write(bytes);
    });
  }

  close() {
    this.reject = undefined;
    this.socket.destroy();
  }
}

export function post(path, body) {
  const data = JSON.stringify(body);
  return Buffer.from(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(data)}\r\n\r\n${data}`);
}

export function get(path) {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
}
