// Whether this machine has an NVIDIA card, told without its driver: a card that nobody can use is the one to speak of.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const NVIDIA = '0x10de';
/** Of PCI's classes, what displays and what only computes (0x0300, 0x0302). */
const DISPLAY = /^0x03/;

/**
 * The first card in words: by its name where the driver is loaded, else by where the bus has it. Undefined without one.
 *
 * @param root where /proc, /dev and /sys are; a test brings its own
 */
export function cardPresence(root = process.env.ATELIER_CARD_ROOT || '/'): string | undefined {
  return byDriver(root) ?? byBus(root) ?? byWindows(root);
}

function byDriver(root: string): string | undefined {
  const folder = join(root, 'proc/driver/nvidia/gpus');
  for (const gpu of list(folder)) {
    const model = /^Model:\s*(.+)$/m.exec(text(join(folder, gpu, 'information')))?.[1];
    if (model) return `an ${model.trim()}`;
  }
  return existsSync(join(root, 'dev/nvidia0')) ? 'an NVIDIA card' : undefined;
}

function byBus(root: string): string | undefined {
  const folder = join(root, 'sys/bus/pci/devices');
  const read = (device: string, file: string): string => text(join(folder, device, file)).trim();
  const card = list(folder).find((device) => read(device, 'vendor') === NVIDIA && DISPLAY.test(read(device, 'class')));
  return card === undefined ? undefined : `an NVIDIA card (PCI ${card}, device ${read(card, 'device')})`;
}

/** In WSL cards are not on the bus: Windows lends its driver, with the device to reach it by. */
function byWindows(root: string): string | undefined {
  const lent = existsSync(join(root, 'dev/dxg')) && existsSync(join(root, 'usr/lib/wsl/lib/libcuda.so.1'));
  return lent ? 'an NVIDIA card of Windows' : undefined;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // not there, or not ours to read: no card is seen that way
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
