// SPDX-License-Identifier: Apache-2.0
Promise.reject('not an error');
setTimeout(() => console.log('never'), 10);
