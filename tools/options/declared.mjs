// The train options as proto/atelier/v1/training.proto declares them, checked: a slip in the declaration is found here, by name, not in what
// is made from it.
import protobuf from 'protobufjs';
import { loadMessages } from './proto.mjs';

const EXTENSION = '(atelier.option)';
const NUMBERS = { uint32: 'integer', uint64: 'integer', double: 'number' };

const camel = (name) => name.replace(/_([a-z])/g, (_all, letter) => letter.toUpperCase());
const constant = (name) => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();

/** An enum's values by the names that people write: OPTIMIZER_KIND_ADAMW is adamw. Zero, which says nothing, has none. */
function namesOf(type) {
  const prefix = `${constant(type.name)}_`;
  return Object.entries(type.values)
    .filter(([, number]) => number !== 0)
    .map(([name, number]) => ({ name: name.slice(prefix.length).toLowerCase(), number }));
}

function kindOf(field) {
  if (field.resolvedType instanceof protobuf.Enum) return 'enum';
  if (field.repeated && field.type === 'string') return 'texts';
  if (field.type === 'bool') return 'boolean';
  const kind = NUMBERS[field.type];
  if (kind && !field.repeated) return kind;
  throw new Error(`${field.fullName}: an option of type ${field.type} has no form yet; tools/options knows none`);
}

function defaultOf(kind, text) {
  if (kind === 'texts') return text ? text.split(',') : [];
  if (text === undefined) return undefined;
  if (kind === 'enum') return text;
  if (kind === 'boolean') return { true: true, false: false }[text];
  return Number(text);
}

/** "weighting=mode" as { option, values }; without values: a list that must not be empty. */
function conditionOf(text) {
  if (text === undefined) return undefined;
  const [option, values] = text.split('=');
  return { option, values: values?.split('|') };
}

function optionOf(field, former) {
  const said = field.parsedOptions?.find((option) => EXTENSION in option)?.[EXTENSION];
  if (!said) throw new Error(`${field.fullName} says no ${EXTENSION}: declare its default and its help`);
  const kind = kindOf(field);
  const name = said.name ?? field.name;
  return {
    name,
    key: camel(name),
    field: camel(field.name),
    formerField: kind === 'enum' && former.has(name) ? camel(name) : undefined,
    alias: said.alias,
    flag: said.flag ?? name.replaceAll('_', '-'),
    kind,
    protoType: field.type,
    enumName: kind === 'enum' ? field.resolvedType.name : undefined,
    values: kind === 'enum' ? namesOf(field.resolvedType) : undefined,
    default: defaultOf(kind, said.default_value),
    defaultFrom: said.default_from,
    min: said.min,
    max: said.max,
    aboveMin: said.above_min ?? false,
    belowMax: said.below_max ?? false,
    minItems: said.min_items,
    maxItems: said.max_items,
    maxLength: said.max_length,
    unit: said.unit,
    help: said.help,
    offHelp: said.off_help,
    group: said.group,
    basic: said.basic ?? false,
    each: said.each ?? false,
    onlyWith: conditionOf(said.only_with),
    reader: said.reader,
    singlePrecision: said.single_precision ?? false,
  };
}

const inRange = ({ min = -Infinity, max = Infinity, aboveMin, belowMax }, value) =>
  (aboveMin ? value > min : value >= min) && (belowMax ? value < max : value <= max);

/** What is wrong with a declaration by itself. */
function problemOf(option, names) {
  const { kind, default: usual, defaultFrom } = option;
  if (!option.help?.endsWith('.')) return 'its help is no sentence';
  if (!option.group) return 'it belongs to no group';
  if (defaultFrom)
    return usual === undefined && names.has(defaultFrom) ? undefined : 'its default is not that of another';
  if (usual === undefined) return 'it has no default_value that its type can have';
  if (kind === 'enum' && !option.values.some(({ name }) => name === usual)) return `its default ${usual} is no value`;
  if ((kind === 'integer' || kind === 'number') && !inRange(option, usual))
    return `its default ${usual} is out of range`;
  if (kind === 'integer' && !Number.isInteger(usual)) return `its default ${usual} is no whole number`;
  if (kind === 'texts' && usual.length < (option.minItems ?? 0)) return 'its default has too few items';
  return undefined;
}

/** Whether what an option depends on is an option that can be so. */
function conditionHolds({ onlyWith }, options) {
  if (!onlyWith) return true;
  const other = options.find(({ name }) => name === onlyWith.option);
  if (!onlyWith.values) return other?.kind === 'texts';
  const known = other?.values?.map(({ name }) => name) ?? [];
  return onlyWith.values.every((value) => known.includes(value));
}

/** Every option in the order of the declaration. Throws an Error that names all that is wrong with it. */
export function declaredOptions(proto) {
  const type = loadMessages(proto, { keepCase: true }).lookupType('atelier.v1.TrainOptions');
  const isFormer = (field) => field.options?.deprecated === true;
  const former = new Set(type.fieldsArray.filter(isFormer).map(({ name }) => name));
  const options = type.fieldsArray.filter((field) => !isFormer(field)).map((field) => optionOf(field, former));
  const names = new Set(options.map(({ name }) => name));
  const problems = options.flatMap((option) => {
    const problem = problemOf(option, names);
    if (!conditionHolds(option, options)) return [`${option.name}: its only_with names what no option can be`];
    return problem ? [`${option.name}: ${problem}`] : [];
  });
  const words = options.flatMap(({ name, alias, flag }) => [name, alias, flag === name ? undefined : `--${flag}`]);
  const twice = words.filter((word, i) => word && words.indexOf(word) !== i);
  if (twice.length) problems.push(`${twice.join(', ')}: two options are called so`);
  if (problems.length) throw new Error(`TrainOptions is declared wrongly:\n  ${problems.join('\n  ')}`);
  return options;
}
