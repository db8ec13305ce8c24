'use strict';
// What happens when there is nothing left to do.
const {Worker} = require('worker_threads');
const busy = new Worker('for (;;);', {eval: true});
busy.unref();
const {createTracing} = require('trace_events');
createTracing({categories: ['node.perf']}).enable();
let rounds = 0;
process.on('beforeExit', (code) => {
  console.log('beforeExit', code);
  if (++rounds < 3)
    setTimeout(() => {}, 1);
});
process.on('exit', (code) => {
  console.log('exit', code, process.exitCode);
  console.log('x'.repeat(9000));
  process.exitCode = 6;
});
process.exitCode = 5;
process.on('exit', () => console.error('last', require('fs').readdirSync('.')));
