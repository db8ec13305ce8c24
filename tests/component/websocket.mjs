// SPDX-License-Identifier: Apache-2.0
// A WebSocket client by hand: node has none that is stable in every version that runs these tests.

import { randomBytes } from 'node:crypto';
import { request } from 'node:http';

export const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

export class Socket {
  // Resolves with the socket, or rejects with the answer that was none of a WebSocket.
  static open(url) {
    const headers = {
      connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    return new Promise((done, fail) => {
      const req = request(url, { headers });
      req.on('upgrade', (res, socket, head) => done(new Socket(socket, head)));
      req.on('response', (res) => {
        res.resume();
        fail(Object.assign(new Error(`status ${res.statusCode}`), { status: res.statusCode }));
      });
      req.on('error', fail);
      req.end();
    });
  }

  constructor(socket, head) {
    this.socket = socket;
    this.bytes = head;
    this.frames = [];
    this.waiting = [];
    socket.on('data', (d) => this.#take(d));
    socket.on('close', () => this.#end());
    socket.on('error', () => {});
    this.#take(Buffer.alloc(0));
  }

  // The next frame as {opcode, data}; null once the connection has ended.
  next() {
    if (this.frames.length || this.ended) return Promise.resolve(this.frames.shift() ?? null);
    return new Promise((done) => this.waiting.push(done));
  }

  // All data until the close frame, as {text, code, reason}.
  async rest() {
    let text = '';
    for (let f; (f = await this.next()); ) {
      if (f.opcode === CLOSE) return { text, code: f.data.readUInt16BE(0), reason: f.data.toString('utf8', 2) };
      if (f.opcode !== PING) text += f.data;
    }
    return { text };
  }

  send(opcode, data) {
    const payload = Buffer.from(data), mask = randomBytes(4);
    const head = payload.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | payload.length])
      : Buffer.from([0x80 | opcode, 0x80 | 126, payload.length >> 8, payload.length & 255]);
    this.socket.write(Buffer.concat([head, mask, payload.map((b, i) => b ^ mask[i % 4])]));
  }

  close(code = 1000) {
    this.send(CLOSE, [code >> 8, code & 255]);
  }

  destroy() {
    this.socket.destroy();
  }

  #deliver(frame) {
    const waiting = this.waiting.shift();
    if (waiting) waiting(frame);
    else this.frames.push(frame);
  }

  #end() {
    this.ended = true;
    for (const done of this.waiting.splice(0)) done(null);
  }

  #take(data) {
    this.bytes = Buffer.concat([this.bytes, data]);
    for (;;) {
      const b = this.bytes;
      if (b.length < 2) return;
      const short = b[1] & 127, extra = short === 126 ? 2 : short === 127 ? 8 : 0;
      if (b.length < 2 + extra) return;
      const len = extra === 8 ? Number(b.readBigUInt64BE(2)) : extra ? b.readUInt16BE(2) : short;
      if (b.length < 2 + extra + len) return;
      this.bytes = b.subarray(2 + extra + len);
      this.#deliver({ opcode: b[0] & 15, data: b.subarray(2 + extra, 2 + extra + len) });
    }
  }
}
