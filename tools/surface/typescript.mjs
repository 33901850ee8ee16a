// What an interface of addon functions says in TypeScript: of each the parameters, by name and kind.
import ts from 'typescript';

/** Kinds of values as the addon's readers know them; another type is compared by number and name alone. */
const KINDS = {
  string: 'text',
  number: 'number',
  boolean: 'flag',
  bigint: 'u64',
  Float32Array: 'floats',
  Int32Array: 'ints',
  Uint8Array: 'bytes',
  Tensor: 'tensor',
  NativeCall: 'call',
};

/** @returns Map of a function's name to [{ name, kind, optional }] */
export function functionsOf(source, interfaceName) {
  const file = ts.createSourceFile('addon.ts', source, ts.ScriptTarget.Latest, true);
  const found = file.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === interfaceName,
  );
  const parameter = (node) => ({
    name: node.name.getText(file),
    kind: kindOf(node.type.getText(file)),
    optional: node.questionToken !== undefined,
  });
  return new Map((found?.members ?? []).map((member) => [member.name.getText(file), member.parameters.map(parameter)]));
}

function kindOf(type) {
  const plain = type.replace(/^native\./, '');
  const handle = /^(\w+)Handle$/.exec(plain)?.[1];
  return handle ? `handle of ${handle}` : KINDS[plain];
}
