// proto/ as protobufjs reads it, with its custom options.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const require = createRequire(import.meta.url);
export const PROTO = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'proto');
const DESCRIPTOR = 'google/protobuf/descriptor.proto';

/** The files of the messages that services send each other. */
export function messageFiles(proto = PROTO) {
  const folder = join(proto, 'atelier', 'v1');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.proto'))
    .map((name) => join(folder, name));
}

/** Names of fields are camelCase, as the generated classes have them, unless they are to be kept. */
export function loadMessages(proto = PROTO, { keepCase = false } = {}) {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    if (target === DESCRIPTOR) return require.resolve(`protobufjs/${DESCRIPTOR}`);
    return isAbsolute(target) ? target : join(proto, target);
  };
  root.loadSync(messageFiles(proto), { keepCase }).resolveAll();
  return root;
}
