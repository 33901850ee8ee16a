// What the addon's sources say of its functions: which argument each reads, as what, and by which name it speaks of it in errors.

/** A handle's kind where its class is called otherwise there than in TypeScript. */
const HANDLES = { ClipText: 'Clip', T5Text: 'T5', SamplerWithAdapters: 'Sampler' };
const READERS = {
  text: 'text',
  count: 'number',
  number: 'number',
  flag: 'flag',
  u64: 'u64',
  floats: 'floats',
  ints: 'ints',
  bytes: 'bytes',
  tensor: 'tensor',
};

/** The rows of a module's table: Map of a name in JavaScript to the function of C++. */
export function tableOf(source) {
  return new Map([...source.matchAll(/^\s*\{"(\w+)", (\w+)\},$/gm)].map(([, name, target]) => [name, target]));
}

/** @returns Map of a function of C++ to [{ name?, kind? }], by the argument's place */
export function definitionsOf(source) {
  const found = new Map();
  for (const { 1: name, index } of source.matchAll(/^Napi::Value (\w+)\(const Napi::CallbackInfo&\s*info\) \{$/gm))
    found.set(name, argumentsOf(source.slice(index, source.indexOf('\n}\n', index))));
  return found;
}

function argumentsOf(body) {
  const read = [];
  const note = (place, said) => (read[place] = { ...read[place], ...said });
  for (const [, place] of body.matchAll(/\binfo\[(\d+)\]/g)) note(Number(place), {});
  for (const [, reader, place, name] of body.matchAll(/\b(\w+)\(info\[(\d+)\], "(\w+)"/g))
    note(Number(place), { name, ...(READERS[reader] && { kind: READERS[reader] }) });
  for (const [, kind, place, name] of body.matchAll(
    /handle_of<(?:const |testing::)?(\w+)>\(\s*info\[(\d+)\], "(\w+)"\)/g,
  ))
    note(Number(place), { name, kind: `handle of ${HANDLES[kind] ?? kind}` });
  for (const [, name, place] of body.matchAll(/named<\w+>\(info\[(\d+)\], "(\w+)"\)/g))
    note(Number(name), { name: place });
  for (const [, place, name] of body.matchAll(/\bFields \w+\(info\[(\d+)\], "(\w+)"\)/g)) note(Number(place), { name });
  const options = /\bstart\(\s*info(?:\.Env\(\)|\[\d\])(?:,\s*\w+)?,\s*info\[(\d+)\]/.exec(body)?.[1];
  if (options !== undefined) note(Number(options), { name: 'call', kind: 'call' });
  return Array.from(read, (said) => said ?? {});
}
