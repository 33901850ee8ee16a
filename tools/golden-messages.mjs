// Keeps the golden bytes of every protobuf message: libs/contracts/test/goldens/<Message>.json, a list of {value, bytes}, oldest first.
// An entry that is there is never changed: it is how the message was released, and every later version must still read it. When a message
// is new, or has a field that no entry shows, an entry with all of its fields is added. Run it after changing proto/: node tools/golden-messages.mjs
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { loadMessages } from './options/proto.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const goldens = join(root, 'libs', 'contracts', 'test', 'goldens');

const schema = loadMessages();

/** A value that tells this field from every other: nothing default, nothing alike. */
function sampleOf(field, depth) {
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) return Math.max(...Object.values(type.values));
  if (type) return valueOf(type, depth + 1);
  if (field.type === 'string') return `${field.name} ${field.id} é`;
  if (field.type === 'bool') return true;
  if (field.type === 'double') return field.id + 0.375;
  if (field.type === 'uint64' || field.type === 'int64') return 2 ** 40 + field.id;
  if (field.type === 'uint32' || field.type === 'int32') return 70_000 + field.id;
  throw new Error(`tools/golden-messages.mjs has no sample of type ${field.type} (${field.fullName}): add one`);
}

function valueOf(type, depth = 0, only = null) {
  const value = {};
  for (const field of type.fieldsArray) {
    // Of a oneof one field can be set at a time; each gets an entry of its own. (An `optional` field is alone in one.)
    const { partOf } = field;
    if (partOf && field !== (only?.partOf === partOf ? only : partOf.fieldsArray[0])) continue;
    const sample = sampleOf(field, depth);
    value[field.name] = field.map ? { key: sample } : field.repeated ? [sample, sample] : sample;
  }
  return value;
}

let added = 0;
for (const type of schema.lookup('atelier.v1').nestedArray) {
  if (!(type instanceof protobuf.Type)) continue;
  const path = join(goldens, `${type.name}.json`);
  const entries = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
  const before = entries.length;
  const missing = () => type.fieldsArray.filter((field) => !entries.some(({ value }) => field.name in value));
  if (!before && type.fieldsArray.length === 0) entries.push({ value: {}, bytes: '' });
  for (let field; (field = missing()[0]);) {
    const value = valueOf(type, 0, field.partOf ? field : null);
    entries.push({ value, bytes: Buffer.from(type.encode(type.fromObject(value)).finish()).toString('hex') });
  }
  added += entries.length - before;
  if (entries.length !== before) writeFileSync(path, `${JSON.stringify(entries, null, 1)}\n`);
}
console.log(added ? `${added} entries added: commit them with the change of proto/` : 'the goldens show every field');
