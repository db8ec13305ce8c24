// SPDX-License-Identifier: Apache-2.0
// Everything that pages are made of.
export * from './basics';
export * from './dialog';
export * from './form';
export * from './icons';
export * from './menu';
export * from './table';
export * from './tabs';
export * from './toast';
