import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cardPresence } from '@atelier/models';

/** A machine as its files tell of it. */
const machine = (files: Record<string, string>): string => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
};
const pci = (device: string, vendor: string, kind: string): Record<string, string> => ({
  [`sys/bus/pci/devices/${device}/vendor`]: `${vendor}\n`,
  [`sys/bus/pci/devices/${device}/class`]: `${kind}\n`,
  [`sys/bus/pci/devices/${device}/device`]: '0x2684\n',
});

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'atelier-card-'))));
afterEach(() => rmSync(root, { recursive: true }));

test('no card: none of the signs, another maker, or a card maker’s sound and network devices', () => {
  expect(cardPresence(root)).toBeUndefined();
  const others = { ...pci('0000:00:02.0', '0x8086', '0x030000'), ...pci('0000:01:00.1', '0x10de', '0x040300') };
  expect(cardPresence(machine(others))).toBeUndefined();
});

test('without a driver the bus tells, of cards that display and of those that only compute', () => {
  const seen = 'an NVIDIA card (PCI 0000:01:00.0, device 0x2684)';
  expect(cardPresence(machine(pci('0000:01:00.0', '0x10de', '0x030000')))).toBe(seen);
  expect(cardPresence(machine(pci('0000:01:00.0', '0x10de', '0x030200')))).toBe(seen);
});

test('a driver that is loaded tells the name; its device file alone is a sign too', () => {
  expect(cardPresence(machine({ 'dev/nvidia0': '' }))).toBe('an NVIDIA card');
  const information = 'Model: \t\t NVIDIA GeForce RTX 4090\nIRQ: 97\n';
  expect(cardPresence(machine({ 'proc/driver/nvidia/gpus/0000:01:00.0/information': information }))).toBe(
    'an NVIDIA GeForce RTX 4090',
  );
});

test('in WSL the driver that Windows lends is the sign, and not its graphics alone', () => {
  expect(cardPresence(machine({ 'dev/dxg': '' }))).toBeUndefined();
  expect(cardPresence(machine({ 'usr/lib/wsl/lib/libcuda.so.1': '' }))).toBe('an NVIDIA card of Windows');
});
