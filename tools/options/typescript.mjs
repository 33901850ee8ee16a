// The declaration as TypeScript has it: a table, and the types of complete options.
const HEAD = '// Written by tools/generate.mjs from proto/atelier/v1/training.proto: change that, not this.\n';

// What the table says of an option. libs/contracts explains how a message is read by it.
const ROW = `export interface TrainOptionSpec {
  /** In JSON: learning_rate. */
  readonly name: keyof TrainOptionsJson;
  /** In code: learningRate. */
  readonly key: keyof CompleteTrainOptions;
  /** Property of the message. */
  readonly field: string;
  /** Property that held an enum's name in messages of 0.1.0. */
  readonly formerField?: string;
  /** Another name in JSON. */
  readonly alias?: string;
  /** On the command line, without the dashes. */
  readonly flag: string;
  readonly kind: 'integer' | 'number' | 'boolean' | 'enum' | 'texts';
  /** Of an enum: the names that people write, and the message's numbers. */
  readonly values?: readonly { readonly name: string; readonly number: number }[];
  /** Left out where another option's value is the default. */
  readonly default?: number | boolean | string | readonly string[];
  readonly defaultFrom?: keyof TrainOptionsJson;
  readonly min?: number;
  readonly max?: number;
  /** The limit itself is not allowed. */
  readonly aboveMin: boolean;
  readonly belowMax: boolean;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly unit?: string;
  readonly help: string;
  readonly offHelp?: string;
  readonly group: string;
  /** Among the few that a form shows at once. */
  readonly basic: boolean;
  /** The flag is given once for each text of the list. */
  readonly each: boolean;
  /** It does something only where that option has one of the values or, without any, is a list that is not empty. */
  readonly onlyWith?: { readonly option: keyof TrainOptionsJson; readonly values?: readonly string[] };
}
`;

/** What the header alone needs. */
const NATIVE = new Set(['protoType', 'enumName', 'singlePrecision', 'reader']);
const PLAIN = { integer: 'number', number: 'number', boolean: 'boolean', texts: 'string[]' };
const typeOf = ({ kind, enumName }) => (kind === 'enum' ? `${enumName}Name` : PLAIN[kind]);

function members(options, name) {
  return options.map((option) => `  /** ${option.help} */\n  ${option[name]}: ${typeOf(option)};\n`).join('');
}

const union = (names) => names.map((name) => `'${name}'`).join(' | ');

export function typesOf(options) {
  const enums = new Map(options.filter(({ values }) => values).map(({ enumName, values }) => [enumName, values]));
  const names = [...enums].map(([name, values]) => `export type ${name}Name = ${union(values.map((v) => v.name))};\n`);
  const engine = options.filter(({ reader }) => reader === 'READER_TRAINER').map(({ key }) => key);
  return [
    HEAD,
    ...names,
    `\n/** What a run is trained with, none left open. */\nexport interface CompleteTrainOptions {\n${members(options, 'key')}}\n`,
    `\n/** The same in JSON's spelling. */\nexport interface TrainOptionsJson {\n${members(options, 'name')}}\n`,
    `\n/** Those that the engine's trainer takes. */\nexport type EngineTrainOption = ${union(engine)};\n`,
    `export declare const engineTrainOptions: readonly EngineTrainOption[];\n`,
    `\n${ROW}\n/** In the order of the declaration. */\nexport declare const trainOptionSpecs: readonly TrainOptionSpec[];\n`,
  ].join('');
}

export function tableOf(options) {
  const rows = options.map((option) => Object.fromEntries(Object.entries(option).filter(([key]) => !NATIVE.has(key))));
  const engine = options.filter(({ reader }) => reader === 'READER_TRAINER').map(({ key }) => key);
  return `${HEAD}'use strict';
Object.defineProperty(exports, '__esModule', { value: true });
exports.engineTrainOptions = ${JSON.stringify(engine)};
exports.trainOptionSpecs = ${JSON.stringify(rows, null, 2)};
`;
}
