// SPDX-License-Identifier: Apache-2.0
// Networks of real guests: what a policy opens and shuts, towards an outside host of the test's own
// (lib/world.mjs), towards the host and towards each other; and that it stays so through all that
// happens to a VM and to the daemon.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import { Daemon, UID_FIRST, until } from './lib/holm.mjs';
import { Api } from './lib/native.mjs';
import { HOST, LOCAL, ONE, SINK_PORT, TWO, World, dial, removeNetworks } from './lib/world.mjs';

const PREFIX = 'hte2en', POOL4 = '10.206.0.0/16', POOL6 = 'fd00:686f:6c6e::ace:0/112';
// How long to listen for an answer that must not come.
const SILENCE_MS = 1500;

// Of a run that is interrupted, VMs are left, which tests/e2e/run ends, and their networks.
process.on('exit', () => removeNetworks(PREFIX));

let daemon, api, world;
test.before(async () => {
  world = await World.start([POOL4, POOL6]);
  daemon = await Daemon.start({
    uidFirst: UID_FIRST + 1024,
    set: { 'network.prefix': PREFIX, 'network.pool': POOL4, 'network.resolver': ONE[0] },
  });
  await daemon.ready(['python']);
  api = new Api(daemon);
});
test.after(async () => {
  // VMs outlive the daemon's end.
  for (const vm of await api?.call('GET', '/v1/vms').catch(() => []) ?? []) await api.request('DELETE', `/v1/vms/${vm.id}`);
  api?.close();
  await daemon?.close();
  await world?.stop();
});

async function launched(t, firewall, more = {}) {
  const vm = await api.launch({ ...(more.snapshotId ? {} : { image: 'python' }), firewall, ...more });
  t.after(() => api.request('DELETE', `/v1/vms/${vm.id}`));
  return vm.id;
}

const rule = (action, value, protocol = 'any', ports = 'any', kind = 'cidr') => ({ action, kind, value, protocol, ports });
const name = (action, value, protocol, ports) => rule(action, value, protocol, ports, 'fqdn');
const only = (...rules) => ({ default: 'deny', rules });
const but = (...rules) => ({ default: 'allow', rules });

// Tries all of them at the same time. A probe is "tcp ADDRESS PORT [PATIENCE]", "udp ADDRESS PORT"
// or "name NAME FAMILY"; the answer: what the server said or the addresses, or the error's name.
const PROBE = `
import errno, json, socket, sys, threading
def first_line(kind, host, port, patience='20'):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM) as s:
        s.settimeout(float(patience))
        s.connect((host, int(port)))
        if kind == 'udp': s.send(b'?')
        return s.recv(200).decode().strip() or 'end'
def resolve(name, family):
    found = socket.getaddrinfo(name, 0, {'4': socket.AF_INET, '6': socket.AF_INET6}[family], socket.SOCK_STREAM)
    return ' '.join(sorted(f[4][0] for f in found))
def probe(i, words):
    try: answers[i] = resolve(*words[1:]) if words[0] == 'name' else first_line(*words)
    except socket.gaierror as e: answers[i] = {socket.EAI_NONAME: 'NONAME', socket.EAI_AGAIN: 'AGAIN', socket.EAI_NODATA: 'NODATA'}.get(e.errno, str(e))
    except TimeoutError: answers[i] = 'silence'
    except OSError as e: answers[i] = errno.errorcode.get(e.errno, str(e))
answers = {}
threads = [threading.Thread(target=probe, args=(i, p.split())) for i, p in enumerate(sys.argv[1:])]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps([answers[i] for i in range(len(threads))]))`;

async function probe(id, ...probes) {
  return JSON.parse(await api.exec(id, ['python3', '-c', PROBE, ...probes]));
}

// What a guest is told when it may not. IPv6 has an error of its own for that.
const REFUSED = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EACCES', 'ENETUNREACH']);

// expected: true when the outside host has to answer, with the host's address as the guest's own.
async function expect(id, expected) {
  const probes = Object.keys(expected);
  const answers = await probe(id, ...probes);
  for (const [i, p] of probes.entries()) {
    const want = expected[p];
    if (want === true) assert.equal(answers[i], p.includes(':') ? HOST[1] : HOST[0], `${p} passes`);
    else if (want === false) assert.ok(REFUSED.has(answers[i]), `${p} is refused, not ${answers[i]}`);
    else assert.equal(answers[i], want, p);
  }
}

// What a guest's own resolver makes of a question that is refused: "try again later".
const SHUT = 'AGAIN';

// --- connections that live ---

// Says a number every 50 ms and writes down what comes back.
const TALKER = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.recv(100)
n = 0
try:
    while True:
        n += 1
        s.sendall(b'%d\\n' % n)
        print(s.recv(100).decode().strip() or sys.exit('end'), flush=True)
        time.sleep(0.05)
except OSError as e: print('error', e.errno)`;

class Talker {
  static async start(id, host, port) {
    const talker = new Talker();
    const { execId } = await api.call('POST', `/v1/vms/${id}/exec`, { command: ['python3', '-c', TALKER, host, String(port)], background: true });
    Object.assign(talker, { id, execId });
    await talker.goesOn();
    return talker;
  }

  state(id = this.id) {
    return api.call('GET', `/v1/vms/${id}/exec/${this.execId}`);
  }

  // Another number came back from now on.
  async goesOn() {
    const from = (await this.state()).outputBytes;
    await until(async () => {
      const { running, outputBytes } = await this.state();
      assert.ok(running, running || `the connection has ended: ${(await this.lines()).slice(-3)}`);
      return outputBytes > from + 10;
    }, 'the connection to go on');
  }

  async ends(id = this.id) {
    await until(async () => !(await this.state(id)).running, 'the connection to end');
  }

  // All numbers came back in their order.
  async lines() {
    const { body } = await api.request('GET', `/v1/vms/${this.id}/exec/${this.execId}/output?offset=0&follow=0`);
    return body.toString().split('\n').filter(Boolean).map((l) => JSON.parse(l)).filter((e) => e.t === 'o')
      .map((e) => Buffer.from(e.d, 'base64').toString()).join('').trim().split('\n');
  }
}

// --- servers in guests ---

// Says its port, then who asked.
const SERVER = `
import socket, sys, threading
def serve(port):
    s = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True)
    print('listens', flush=True)
    while True:
        c, peer = s.accept()
        with c: c.sendall(b'%d %s\\n' % (port, peer[0].replace('::ffff:', '').encode()))
for port in sys.argv[1:]: threading.Thread(target=serve, args=(int(port),)).start()`;

async function startServer(id, ...ports) {
  const { execId } = await api.call('POST', `/v1/vms/${id}/exec`, { command: ['python3', '-u', '-c', SERVER, ...ports.map(String)], background: true });
  await until(async () => (await api.call('GET', `/v1/vms/${id}/exec/${execId}`)).outputBytes === 8 * ports.length, 'the servers to listen');
}

const address = async (id) => (await api.call('GET', `/v1/vms/${id}/stats`)).hostAddress;
// 10.206.0.7 is fd00:686f:6c6e::ace:7.
const address6 = (v4) => {
  const [a, b, c, d] = v4.split('.').map(Number);
  return `fd00:686f:6c6e::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
};

// --- outbound ---

test('outbound is on by default: TCP, UDP and names, IPv4 and IPv6, as the host', async (t) => {
  const id = await launched(t);
  await expect(id, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: true, [`udp ${ONE[0]} 7000`]: true, [`udp ${ONE[1]} 7000`]: true,
    [`tcp ${TWO[0]} 7002`]: true, 'tcp one.test 7001': true,
    'name one.test 4': ONE[0], 'name one.test 6': ONE[1], 'name alias.test 4': ONE[0], 'name none.test 4': 'NONAME',
    [`tcp ${ONE[0]} 7777`]: 'ECONNREFUSED',
  });
  assert.match(await api.exec(id, 'cat /etc/resolv.conf'), /^nameserver 172\.16\.0\.1$/m);
  assert.match(await api.exec(id, 'ip -br address 2>/dev/null || cat /proc/net/fib_trie'), /172\.16\.0\.2/);
  const { networkRxBytes, networkTxBytes } = await api.call('GET', `/v1/vms/${id}/stats`);
  assert.ok(networkRxBytes > 500 && networkTxBytes > 500, `${networkRxBytes} ${networkTxBytes}`);
});

test('outbound off: nothing passes, no question leaves', async (t) => {
  const id = await launched(t, { egress: only() });
  await world.questions();
  await expect(id, {
    [`tcp ${ONE[0]} 7000`]: false, [`tcp ${ONE[1]} 7000`]: false, [`udp ${ONE[0]} 7000`]: false, [`udp ${ONE[1]} 7000`]: false,
    [`udp ${ONE[0]} 53`]: false, [`tcp ${ONE[0]} 53`]: false, 'tcp one.test 7000': SHUT, 'name one.test 4': SHUT, 'name secret.one.test 6': SHUT,
  });
  assert.deepEqual(await world.questions(), []);
});

test('egress rules: a range of addresses and ports, deny before allow', async (t) => {
  const id = await launched(t, { egress: only(
    rule('deny', `${TWO[0]}/32`), rule('deny', `${TWO[1]}/128`, 'tcp', '7001'),
    rule('allow', '198.51.100.0/24', 'tcp', '7000-7001'), rule('allow', '2001:db8:51::/64', 'tcp', '7000-7001'),
    rule('allow', `${ONE[0]}/32`, 'udp', '7001'),
  ) });
  await expect(id, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[0]} 7001`]: true, [`tcp ${ONE[0]} 7002`]: false,
    [`tcp ${ONE[1]} 7000`]: true, [`tcp ${ONE[1]} 7001`]: true, [`tcp ${ONE[1]} 7002`]: false,
    [`tcp ${TWO[0]} 7000`]: false, [`tcp ${TWO[1]} 7000`]: true, [`tcp ${TWO[1]} 7001`]: false,
    [`udp ${ONE[0]} 7001`]: true, [`udp ${ONE[0]} 7000`]: false, [`udp ${ONE[1]} 7001`]: false,
  });
});

test('names: fqdn rules open what they resolved to, and only that', async (t) => {
  const id = await launched(t, { egress: only(
    name('allow', 'one.test', 'tcp', '7000'), name('allow', '*.example'), name('allow', 'inner.test'),
  ) });
  // Before it was resolved, the address is shut.
  await expect(id, { [`tcp ${ONE[0]} 7000`]: false, [`tcp ${ONE[1]} 7000`]: false });
  await expect(id, { 'name one.test 4': ONE[0], 'name one.test 6': ONE[1], 'name other.example 4': TWO[0], 'name inner.test 4': LOCAL });
  await world.questions();
  await expect(id, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: true, [`tcp ${ONE[0]} 7001`]: false,
    [`tcp ${TWO[0]} 7002`]: true, [`udp ${TWO[0]} 7001`]: true, [`tcp ${TWO[1]} 7002`]: false,
    [`tcp ${LOCAL} 7000`]: false,
  });
  await expect(id, { 'name two.test 4': SHUT, 'name data.leaks.test 4': SHUT });
  assert.deepEqual(await world.questions(), []);
});

test('dns: only names of the list resolve, by whatever way they are asked for', async (t) => {
  const id = await launched(t, { dns: { mode: 'allow', domains: ['one.test', '*.deep.one.test'], blockBypass: true } });
  await world.questions();
  await expect(id, {
    'name one.test 4': ONE[0], 'name www.deep.one.test 4': ONE[0], 'name two.test 4': 'NONAME', 'name alias.test 4': 'NONAME',
    [`tcp ${TWO[0]} 7000`]: true, [`tcp ${ONE[0]} 853`]: false,
  });
  // A question to another server is answered by the gateway.
  assert.match(await api.exec(id, ['python3', '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(('${TWO[0]}', 53))
s.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + b'\\3two\\4test\\0' + b'\\0\\1\\0\\1')
print('code', s.recv(512)[3] & 15)`]), /^code 3$/m);
  const questions = await world.questions();
  assert.ok(questions.includes('one.test') && !questions.includes('two.test'), questions.join());
});

// --- a policy that changes ---

test('a new policy holds at once: what it does not allow ends, the rest goes on', async (t) => {
  const id = await launched(t);
  const one = await Talker.start(id, ONE[0], 7000), six = await Talker.start(id, ONE[1], 7000);
  const two = await Talker.start(id, TWO[0], 7001);
  let vm = await api.call('PUT', `/v1/vms/${id}/firewall`, { egress: only(rule('allow', `${ONE[0]}/32`), rule('allow', `${ONE[1]}/128`)) });
  assert.equal(vm.firewall.egress.rules.length, 2);
  await two.ends();
  assert.equal((await two.lines()).at(-1), 'error 104'); // ECONNRESET
  await one.goesOn();
  await six.goesOn();
  await expect(id, { [`tcp ${ONE[0]} 7001`]: true, [`tcp ${TWO[0]} 7001`]: false });
  // One axis alone: egress stays as it was.
  vm = await api.call('PATCH', `/v1/vms/${id}/firewall`, { ingress: only(rule('allow', '198.51.100.0/24', 'tcp', '8080')) });
  assert.equal(vm.effectiveFirewall.egress.rules.length, 2);
  await one.goesOn();
  await expect(id, { [`tcp ${TWO[0]} 7001`]: false });
  vm = await api.call('PATCH', `/v1/vms/${id}/firewall`, { egress: only(rule('allow', `${ONE[1]}/128`)) });
  assert.equal(vm.effectiveFirewall.ingress.rules.length, 1);
  await one.ends();
  await six.goesOn();
  // PUT replaces everything: nothing given is the default.
  vm = await api.call('PUT', `/v1/vms/${id}/firewall`, {});
  assert.equal(vm.effectiveFirewall.egress.default, 'allow');
  await six.goesOn();
  await expect(id, { [`tcp ${TWO[0]} 7001`]: true });
});

test('the command line changes the axis it is told to, and no other', async (t) => {
  const id = await launched(t, { egress: only() });
  const holm = (...args) => daemon.holm(['vm', 'firewall', id, ...args], { env: { HOLM_API_KEY: api.key } });
  await startServer(id, 8080);
  const done = await holm('--allow-in', `${ONE[0]}:8080`);
  assert.deepEqual([done.code, done.stdout], [0, ''], done.stderr);
  assert.equal(await world.dial(await address(id), 8080), `8080 ${ONE[0]}`);
  await expect(id, { [`tcp ${ONE[0]} 7000`]: false });
  assert.equal((await holm('--no-outbound', '--allow', `${ONE[0]}:7000-7001`, '--allow', `[${ONE[1]}]:7000/udp`, '--allow', 'two.test')).code, 0);
  await expect(id, { 'tcp two.test 7002': true });
  await expect(id, {
    [`tcp ${ONE[0]} 7001`]: true, [`tcp ${ONE[0]} 7002`]: false, [`udp ${ONE[1]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: false,
  });
  assert.equal(await world.dial(await address(id), 8080), `8080 ${ONE[0]}`);
  const { ingress, egress, dns } = JSON.parse((await holm()).stdout);
  assert.deepEqual([ingress.rules.length, egress.rules.length, dns.mode], [1, 3, 'deny']);
  const wrong = await holm('--allow', '198.51.100.0/33');
  assert.deepEqual([wrong.code, wrong.stderr.trim()], [125, 'holm: firewall.egress.rules[0].value must be a range of addresses ("10.0.0.0/8", "::/0")']);
  const named = await holm('--allow-in', 'one.test:80');
  assert.equal(named.code, 2);
  assert.match(named.stderr, /^holm: --allow-in: 'one\.test:80' is a name/);
});

test('a policy that is wrong is refused by name, and the old one stays', async (t) => {
  const id = await launched(t, { egress: only(rule('allow', `${ONE[0]}/32`)) });
  for (const [body, field] of [
    [{ egress: only(rule('allow', '198.51.100.0/33')) }, 'firewall.egress.rules[0].value'],
    [{ egress: only(rule('allow', '0.0.0.0/0', 'tcp', '90-80')) }, 'firewall.egress.rules[0].ports'],
    [{ egress: only(rule('allow', '0.0.0.0/0', 'tcp', '65536')) }, 'firewall.egress.rules[0].ports'],
    [{ egress: only(rule('allow', '0.0.0.0/0', 'any', '80')) }, 'firewall.egress.rules[0].ports'],
    [{ egress: only(rule('allow', '0.0.0.0/0', 'icmp')) }, 'firewall.egress.rules[0].protocol'],
    [{ egress: { default: 'maybe' } }, 'firewall.egress.default'],
    [{ ingress: only(name('allow', 'one.test')) }, 'firewall.ingress.rules[0].kind'],
    [{ dns: { mode: 'allow', domains: ['*'] } }, 'firewall.dns.domains[0]'],
    [{ dns: { mode: 'allow', domains: [] }, egress: only(name('allow', 'one.test')) }, 'firewall.egress.rules[0].value'],
    [{ outbound: false }, 'firewall.outbound'],
  ]) {
    for (const method of ['PUT', 'PATCH']) {
      const answer = await api.request(method, `/v1/vms/${id}/firewall`, body);
      assert.deepEqual([answer.status, answer.json.error?.field], [400, field.replace('firewall.', '')], `${method} ${JSON.stringify(body)}: ${answer.body}`);
    }
    const launch = await api.request('POST', '/v1/vms', { image: 'python', firewall: body });
    assert.deepEqual([launch.status, launch.json.error?.field], [400, field], `${launch.body}`);
  }
  await expect(id, { [`tcp ${ONE[0]} 7000`]: true, [`tcp ${TWO[0]} 7000`]: false });
});

// --- what is shut unless it is named ---

test('guests reach neither the host nor each other nor link-local addresses, unless a rule names them', async (t) => {
  const services = await Promise.all(['0.0.0.0', '::'].map(async (host) => {
    const server = net.createServer((s) => s.on('error', () => {}).end(`host ${host}\n`)).listen({ port: 0, host, ipv6Only: true });
    await once(server, 'listening');
    t.after(() => server.close());
    return server.address().port;
  }));
  const [v4, v6] = services;
  const opened = { egress: but(rule('allow', '0.0.0.0/0'), rule('allow', '::/0')), ingress: but() };
  const id = await launched(t, opened), other = await launched(t, opened);
  await startServer(other, 8080);
  const own = await address(id), theirs = await address(other);
  assert.notEqual(own, theirs);
  const gateway = own.replace(/\d+$/, (n) => n - 1); // the host's end of the line
  assert.equal(await dial(gateway, v4), 'host 0.0.0.0');
  await expect(id, {
    [`tcp ${HOST[0]} ${v4}`]: false, [`tcp ${HOST[1]} ${v6}`]: false, [`tcp ${gateway} ${v4}`]: false,
    [`tcp ${address6(gateway)} ${v6}`]: false, [`tcp 172.16.0.1 ${v4}`]: false, [`tcp fd00:686f:6c6d::1 ${v6}`]: false,
    [`tcp ${theirs} 8080`]: false, [`tcp ${address6(theirs)} 8080`]: false, [`tcp ${LOCAL} 7000`]: false,
    [`tcp 127.0.0.1 ${v4}`]: 'ECONNREFUSED', [`tcp ${ONE[0]} 7000`]: true,
  });
  // Both have the same address inside, and both are there.
  await Promise.all([expect(id, { [`tcp ${ONE[0]} 7000`]: true }), expect(other, { [`tcp ${ONE[1]} 7000`]: true })]);
  await api.call('PUT', `/v1/vms/${id}/firewall`, { egress: only(
    rule('allow', `${HOST[0]}/32`, 'tcp', String(v4)), rule('allow', `${HOST[1]}/128`, 'tcp', String(v6)),
    rule('allow', `${LOCAL}/32`, 'tcp', '7000'), rule('allow', `${theirs}/32`), rule('allow', `${address6(theirs)}/128`),
  ) });
  await expect(id, {
    [`tcp ${HOST[0]} ${v4}`]: 'host 0.0.0.0', [`tcp ${HOST[1]} ${v6}`]: 'host ::', [`tcp ${HOST[0]} ${new URL(daemon.url).port}`]: false,
    [`tcp ${LOCAL} 7000`]: HOST[0], [`tcp ${LOCAL} 7001`]: false,
    [`tcp ${theirs} 8080`]: `8080 ${own}`, [`tcp ${address6(theirs)} 8080`]: `8080 ${address6(own)}`, [`tcp ${ONE[0]} 7000`]: false,
  });
  // The other one still has to let it in.
  await api.call('PATCH', `/v1/vms/${other}/firewall`, { ingress: only(rule('allow', `${TWO[0]}/32`)) });
  await expect(id, { [`tcp ${theirs} 8080 1.5`]: 'silence' });
});

// --- inbound ---

test('ingress: from the host and from outside, by range and port, only when it is allowed', async (t) => {
  const id = await launched(t);
  await startServer(id, 8080, 8081);
  const at = await address(id), at6 = address6(at);
  assert.equal(await dial(at, 8080, SILENCE_MS), 'silence');
  assert.equal(await world.dial(at, 8080, SILENCE_MS), 'silence');
  await api.call('PUT', `/v1/vms/${id}/firewall`, { ingress: only(
    rule('deny', `${TWO[0]}/32`), rule('allow', '198.51.100.0/24', 'tcp', '8080'), rule('allow', '2001:db8:51::/64', 'tcp', '8080'),
  ) });
  assert.equal(await world.dial(at, 8080), `8080 ${ONE[0]}`);
  assert.equal(await world.dial(at6, 8080), `8080 ${ONE[1]}`);
  assert.equal(await world.dial(at, 8081, SILENCE_MS), 'silence');
  assert.equal(await dial(at, 8080, SILENCE_MS), 'silence'); // the host is not in the range
  const gateway = at.replace(/\d+$/, (n) => n - 1);
  await api.call('PATCH', `/v1/vms/${id}/firewall`, { ingress: only(rule('allow', `${gateway}/32`), rule('allow', `${address6(gateway)}/128`)) });
  assert.equal(await dial(at, 8081), `8081 ${gateway}`);
  assert.equal(await dial(at6, 8080), `8080 ${address6(gateway)}`);
  assert.equal(await world.dial(at, 8080, SILENCE_MS), 'silence');
  await api.call('PUT', `/v1/vms/${id}/firewall`, { mode: 'open' }); // the older shape
  assert.equal(await world.dial(at, 8081), `8081 ${ONE[0]}`);
  assert.equal(await dial(at, 8082), 'ECONNREFUSED');
});

// --- what happens to VMs ---

test('a fork keeps the policy and has a network of its own; the source goes on undisturbed', async (t) => {
  const id = await launched(t, { egress: only(rule('allow', '198.51.100.0/24')), ingress: but() });
  await startServer(id, 8080);
  const talker = await Talker.start(id, ONE[0], 7000);
  const { forks } = await api.fork(id, { count: 2 });
  forks.forEach((f) => t.after(() => api.request('DELETE', `/v1/vms/${f.id}`)));
  const all = [id, ...forks.map((f) => f.id)];
  const addresses = await Promise.all(all.map(address));
  assert.equal(new Set(addresses).size, 3);
  for (const at of addresses) assert.equal(await world.dial(at, 8080), `8080 ${ONE[0]}`);
  for (const kid of all.slice(1)) {
    await expect(kid, { [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: false, 'name one.test 4': ONE[0] });
  }
  await talker.goesOn();
  // The same connection is in the children's memory, but not theirs: the source's alone goes on.
  for (const kid of all.slice(1)) await talker.ends(kid);
  await api.call('PUT', `/v1/vms/${all[1]}/firewall`, { egress: only() });
  await expect(all[1], { [`tcp ${ONE[0]} 7000`]: false });
  await expect(all[2], { [`tcp ${ONE[0]} 7000`]: true });
  await talker.goesOn();
  const lines = await talker.lines();
  assert.deepEqual(lines, lines.map((_, i) => String(i + 1)));
});

test('a snapshot leaves connections alone; what is launched from it has its policy', async (t) => {
  const id = await launched(t, { egress: only(rule('allow', `${ONE[0]}/32`)) });
  const talker = await Talker.start(id, ONE[0], 7000);
  const snap = await api.call('POST', '/v1/snapshots', { vmId: id });
  t.after(() => api.request('DELETE', `/v1/snapshots/${snap.id}`));
  await talker.goesOn();
  const clone = await launched(t, undefined, { snapshotId: snap.id });
  await expect(clone, { [`tcp ${ONE[0]} 7000`]: true, [`tcp ${TWO[0]} 7000`]: false });
  const open = await launched(t, { egress: but(rule('deny', `${ONE[0]}/32`)) }, { snapshotId: snap.id });
  await expect(open, { [`tcp ${ONE[0]} 7000`]: false, [`tcp ${TWO[0]} 7000`]: true });
  await talker.goesOn();
  const lines = await talker.lines();
  assert.deepEqual(lines, lines.map((_, i) => String(i + 1)));
});

test('pause, suspend and resume keep network and policy; stop and start too', async (t) => {
  const id = await launched(t, { egress: only(rule('allow', `${ONE[0]}/32`), rule('allow', `${ONE[1]}/128`)), ingress: but() });
  const talker = await Talker.start(id, ONE[0], 7000);
  const holds = { [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: true, [`tcp ${TWO[0]} 7000`]: false };
  await startServer(id, 8080);
  await api.call('POST', `/v1/vms/${id}/pause`);
  await api.call('POST', `/v1/vms/${id}/resume`);
  await talker.goesOn();
  await api.call('POST', `/v1/vms/${id}/suspend`);
  await api.call('PATCH', `/v1/vms/${id}/firewall`, { ingress: only(rule('allow', `${ONE[0]}/32`)) });
  await api.call('POST', `/v1/vms/${id}/resume`);
  await expect(id, holds);
  await talker.goesOn(); // the outside host had nothing to say meanwhile, and knows it still
  assert.equal(await world.dial(await address(id), 8080), `8080 ${ONE[0]}`);
  assert.equal(await dial(await address(id), 8080, SILENCE_MS), 'silence');
  await api.call('POST', `/v1/vms/${id}/stop`);
  await api.call('POST', `/v1/vms/${id}/start`);
  await expect(id, holds);
});

test('kill -9 of the daemon: connections live on, the next one holds the same policy', async (t) => {
  const id = await launched(t, { egress: only(rule('allow', `${ONE[1]}/128`), name('allow', 'one.test', 'tcp')) });
  await expect(id, { 'tcp one.test 7000': true });
  const talker = await Talker.start(id, ONE[0], 7000);
  await daemon.kill9();
  assert.ok(readdirSync('/run/netns').some((ns) => ns.startsWith(`${PREFIX}-`)));
  await daemon.launch();
  await talker.goesOn();
  await expect(id, {
    [`tcp ${ONE[0]} 7001`]: true, [`udp ${ONE[0]} 7001`]: false, [`tcp ${TWO[0]} 7000`]: false, [`tcp ${ONE[1]} 7000`]: true,
    'name one.test 4': ONE[0],
  });
  await talker.goesOn();
  await api.call('PUT', `/v1/vms/${id}/firewall`, { egress: only() });
  await talker.ends();
});

test('much data gets out whole', async (t) => {
  const id = await launched(t);
  const out = await api.exec(id, ['python3', '-c', `
import socket, time
s = socket.create_connection(('${ONE[0]}', ${SINK_PORT})); block = b'x' * 65536; n = 0; begin = time.monotonic()
while time.monotonic() - begin < 3: s.sendall(block); n += 1
s.shutdown(socket.SHUT_WR); got = int(s.recv(100)); took = time.monotonic() - begin
assert got == n * 65536; print(round(got / took / 1e6, 1))`]);
  t.diagnostic(`${out.trim()} MB/s`);
});

test('nothing is left: namespaces, devices, tables', async () => {
  for (const vm of await api.call('GET', '/v1/vms')) await api.delete(vm.id);
  assert.equal(await daemon.stop(), 0);
  const run = (...args) => execFileSync(args[0], args.slice(1), { encoding: 'utf8' });
  for (const text of [readdirSync('/run/netns').join('\n'), run('ip', '-o', 'link'), run('nft', 'list', 'tables'), run('ip', '-4', 'route'), run('ip', '-6', 'route')]) {
    assert.deepEqual(text.split('\n').filter((line) => line.includes(PREFIX)), []);
  }
  assert.deepEqual(daemon.leftovers(), []);
});
