// SPDX-License-Identifier: Apache-2.0
// allowIps and outboundInternet of the run-dat-sheesh API, from inside of real guests, towards an outside
// host of the test's own (lib/world.mjs).
import test from 'node:test';
import assert from 'node:assert/strict';
import { Daemon, UID_FIRST } from './lib/holm.mjs';
import { Api } from './lib/native.mjs';
import { Rds } from './lib/rds.mjs';
import { HOST, LOCAL, ONE, TWO, World, removeNetworks } from './lib/world.mjs';

const PREFIX = 'hte2er', POOL4 = '10.210.0.0/16', POOL6 = 'fd00:686f:6c6e::ad2:0/112';

// Of a run that is interrupted, VMs are left, which tests/e2e/run ends, and their networks.
process.on('exit', () => removeNetworks(PREFIX));

let daemon, api, rds, world;
test.before(async () => {
  world = await World.start([POOL4, POOL6]);
  daemon = await Daemon.start({
    uidFirst: UID_FIRST + 2048,
    set: { 'network.prefix': PREFIX, 'network.pool': POOL4, 'network.resolver': ONE[0], 'rds.rate_limits': 'no', 'vms.image': 'python' },
  });
  await daemon.ready(['python']);
  api = new Api(daemon);
  rds = new Rds(daemon);
});
test.after(async () => {
  for (const { id } of await rds?.call('GET', '/v1/vms').catch(() => []) ?? []) await rds.delete(id);
  api?.close();
  await daemon?.close();
  await world?.stop();
});

async function created(t, allowIps, outboundInternet, more = {}) {
  const vm = await rds.create({ allowIps, outboundInternet, ...more });
  t.after(() => rds.delete(vm.id));
  return vm;
}

// Tries all of them at the same time. A probe is "tcp ADDRESS PORT", "udp ADDRESS PORT" or "name NAME FAMILY"; the answer:
// what the server said or the addresses, or the error's name.
const PROBE = `
import errno, json, socket, sys, threading
def first_line(kind, host, port):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect((host, int(port)))
        if kind == 'udp': s.send(b'?')
        return s.recv(200).decode().strip() or 'end'
def resolve(name, family):
    found = socket.getaddrinfo(name, 0, {'4': socket.AF_INET, '6': socket.AF_INET6}[family], socket.SOCK_STREAM)
    return ' '.join(sorted(f[4][0] for f in found))
def probe(i, words):
    try: answers[i] = resolve(*words[1:]) if words[0] == 'name' else first_line(*words)
    except socket.gaierror as e: answers[i] = {socket.EAI_NONAME: 'NONAME', socket.EAI_AGAIN: 'AGAIN'}.get(e.errno, str(e))
    except TimeoutError: answers[i] = 'silence'
    except OSError as e: answers[i] = errno.errorcode.get(e.errno, str(e))
answers = {}
threads = [threading.Thread(target=probe, args=(i, p.split())) for i, p in enumerate(sys.argv[1:])]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps([answers[i] for i in range(len(threads))]))`;

const REFUSED = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EACCES', 'ENETUNREACH']);

// expected: true when the outside host has to answer, false when the guest has to be told that it may not.
async function expect(vm, expected) {
  const probes = Object.keys(expected);
  const answers = JSON.parse(await api.exec(vm.id.slice(3), ['python3', '-c', PROBE, ...probes]));
  for (const [i, p] of probes.entries()) {
    const want = expected[p];
    if (want === true) assert.equal(answers[i], p.includes(':') ? HOST[1] : HOST[0], `${p} passes`);
    else if (want === false) assert.ok(REFUSED.has(answers[i]), `${p} is refused, not ${answers[i]}`);
    else assert.equal(answers[i], want, p);
  }
}

// What a guest's own resolver makes of a question that is refused.
const SHUT = 'AGAIN';
const NOTHING = {
  [`tcp ${ONE[0]} 7000`]: false, [`tcp ${ONE[1]} 7000`]: false, [`udp ${ONE[0]} 7000`]: false, [`udp ${ONE[1]} 7000`]: false,
  [`udp ${ONE[0]} 53`]: false, [`tcp ${ONE[0]} 53`]: false, 'name one.test 4': SHUT, 'name secret.one.test 6': SHUT,
  'tcp 172.16.0.1 80': false, 'tcp fd00:686f:6c6d::1 80': false,
};

test('without outboundInternet nothing beyond the gateway is reachable, whatever allowIps says', async (t) => {
  for (const allowIps of [['0.0.0.0/0', '::/0', '172.16.0.1/32'], ['172.16.0.1/32'], [`${ONE[0]}/32`], []]) {
    const vm = await created(t, allowIps, false);
    await world.questions();
    await expect(vm, NOTHING);
    assert.deepEqual(await world.questions(), [], 'no question leaves');
    const { outboundInternet, allowIps: shown } = await rds.get(vm.id);
    assert.deepEqual([outboundInternet, shown], [false, allowIps]);
    await rds.delete(vm.id);
  }
});

test('without allowIps nothing is reachable, whatever outboundInternet says', async (t) => {
  const vm = await created(t, [], true);
  await world.questions();
  await expect(vm, NOTHING);
  assert.deepEqual(await world.questions(), []);
  const shown = await rds.get(vm.id);
  assert.deepEqual([shown.outboundInternet, shown.allowIps], [true, []]);
});

test('with both, what allowIps has and nothing else: all ports and protocols, IPv4 and IPv6', async (t) => {
  const vm = await created(t, [ONE[0], `${ONE[1]}/128`], true);
  await expect(vm, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${ONE[0]} 7002`]: true, [`udp ${ONE[0]} 7001`]: true,
    [`tcp ${ONE[1]} 7000`]: true, [`udp ${ONE[1]} 7001`]: true,
    [`tcp ${TWO[0]} 7000`]: false, [`tcp ${TWO[1]} 7000`]: false, [`udp ${TWO[0]} 7000`]: false, [`udp ${TWO[1]} 7000`]: false,
    // Names resolve, since something can be reached; what they resolve to need not be open.
    'name one.test 4': ONE[0], 'name two.test 4': TWO[0], 'name none.test 4': 'NONAME', 'tcp one.test 7001': true,
    // Other resolvers are hosts like any other.
    [`udp ${TWO[0]} 53`]: false, [`tcp ${TWO[0]} 53`]: false, [`udp ${TWO[1]} 53`]: false,
    'tcp 172.16.0.1 80': false,
  });
  assert.deepEqual((await rds.get(vm.id)).allowIps, [`${ONE[0]}/32`, `${ONE[1]}/128`]);
});

test('the edges of ranges', async (t) => {
  // .2 and .3 are in; .0 and .1 end just before them.
  const inside = await created(t, ['198.51.100.3/31', '2001:db8:51::3/127'], true);
  await expect(inside, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${TWO[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: true, [`tcp ${TWO[1]} 7000`]: true,
  });
  const before = await created(t, ['198.51.100.0/31', '2001:db8:51::/127'], true);
  await expect(before, {
    [`tcp ${ONE[0]} 7000`]: false, [`tcp ${TWO[0]} 7000`]: false, [`tcp ${ONE[1]} 7000`]: false, [`tcp ${TWO[1]} 7000`]: false,
  });
  const behind = await created(t, ['198.51.100.3', '2001:db8:51::3'], true);
  await expect(behind, {
    [`tcp ${ONE[0]} 7000`]: false, [`tcp ${TWO[0]} 7000`]: true, [`tcp ${ONE[1]} 7000`]: false, [`tcp ${TWO[1]} 7000`]: true,
  });
});

test('everything, but not the host nor what no range opens by accident', async (t) => {
  const vm = await created(t, ['0.0.0.0/0', '::/0'], true);
  await expect(vm, {
    [`tcp ${ONE[0]} 7000`]: true, [`tcp ${TWO[1]} 7000`]: true, [`udp ${TWO[0]} 7001`]: true, [`tcp ${LOCAL} 7000`]: false,
    [`tcp ${HOST[0]} ${new URL(daemon.url).port}`]: false, [`tcp 172.16.0.1 ${new URL(daemon.url).port}`]: false,
  });
});

test("a VM from a snapshot has its own policy, not the snapshot's", async (t) => {
  const vm = await created(t, ['0.0.0.0/0', '::/0'], true);
  const snapshot = await rds.call('POST', `/v1/vms/${vm.id}/snapshots`);
  t.after(() => rds.request('DELETE', `/v1/snapshots/${snapshot.id}`));
  const shut = await created(t, [`${ONE[0]}/32`], false, { snapshotId: snapshot.id });
  await expect(shut, { [`tcp ${ONE[0]} 7000`]: false, 'name one.test 4': SHUT });
  const other = await created(t, [`${TWO[0]}/32`], true, { snapshotId: snapshot.id });
  await expect(other, { [`tcp ${ONE[0]} 7000`]: false, [`tcp ${TWO[0]} 7000`]: true });
});

test('the policy holds after stop and start', async (t) => {
  const vm = await created(t, [`${ONE[0]}/32`], true);
  await rds.call('POST', `/v1/vms/${vm.id}/stop`, undefined, 204);
  await rds.call('POST', `/v1/vms/${vm.id}/start`, undefined, 204);
  await expect(vm, { [`tcp ${ONE[0]} 7000`]: true, [`tcp ${TWO[0]} 7000`]: false });
});

test('policies of the native API as they are seen here', async (t) => {
  const seen = async (firewall) => {
    const vm = await api.launch({ image: 'python', firewall });
    t.after(() => api.request('DELETE', `/v1/vms/${vm.id}`));
    const { outboundInternet, allowIps } = await rds.get(`vm-${vm.id}`);
    return [outboundInternet, allowIps];
  };
  assert.deepEqual(await seen({}), [true, ['0.0.0.0/0', '::/0']]);
  assert.deepEqual(await seen({ egress: { default: 'deny', rules: [] } }), [false, []]);
  assert.deepEqual(await seen({ egress: { default: 'deny', rules: [
    { action: 'allow', value: '10.0.0.0/8' }, { action: 'allow', value: '11.0.0.0/8', protocol: 'tcp', ports: '443' },
    { action: 'allow', kind: 'fqdn', value: 'one.test' },
  ] } }), [true, ['10.0.0.0/8']]);
});

// Deno may use the network exactly when the VM has one.
test('run-ts asks for the network only with outboundInternet', async (t) => {
  const code = `try { await Deno.connect({ hostname: '${ONE[0]}', port: 7000 }); result.set('connected'); } catch (e) { result.set(e.name); }`;
  const on = await created(t, [`${ONE[0]}/32`], true, { imageId: 'typescript' });
  assert.equal((await rds.runTs(on.id, code)).result, 'connected');
  const refused = code.replaceAll(ONE[0], TWO[0]);
  assert.notEqual((await rds.runTs(on.id, refused)).result, 'connected');
  const off = await created(t, [`${ONE[0]}/32`], false, { imageId: 'typescript' });
  assert.equal((await rds.runTs(off.id, code)).result, 'NotCapable');
  // With the permission, the wall is the network's.
  assert.equal((await rds.runTs(off.id, code, { denoFlags: ['--allow-net'] })).result, 'ConnectionRefused');
});
