// The declaration as the engine has it: native/include/atelier/train_options.h.
const HEAD = `// Written by tools/options-header.mjs from proto/atelier/v1/training.proto: change that, not this.
// clang-format off
#pragma once
#include "atelier/option.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
`;
const TYPES = { uint32: 'int64_t', uint64: 'uint64_t', double: 'double', bool: 'bool', string: 'std::string' };
const KEYWORDS = new Set(['default', 'auto', 'double', 'float', 'switch', 'union', 'and', 'or', 'not', 'xor', 'new']);
const COLUMNS = 120;

const text = (value) => JSON.stringify(value);

function enumOf(name, values) {
  const taken = values.find((value) => KEYWORDS.has(value.name));
  if (taken) throw new Error(`${name}: a value named ${taken.name} cannot be one of C++; name it otherwise`);
  const list = values.map((value) => `${value.name} = ${value.number}`).join(', ');
  const rows = values.map((value) => `    {${name}::${value.name}, ${text(value.name)}},\n`).join('');
  return `
enum class ${name} { ${list} };
inline constexpr EnumName<${name}> k${name}Names[] = {
${rows}};
constexpr std::span<const EnumName<${name}>> names_of(${name}) { return k${name}Names; }
`;
}

function typeOf({ kind, protoType, enumName, singlePrecision, defaultFrom }) {
  const plain = kind === 'enum' ? enumName : singlePrecision ? 'float' : TYPES[protoType];
  if (defaultFrom) return `std::optional<${plain}>`;
  return kind === 'texts' ? `std::vector<${plain}>` : plain;
}

function literalOf({ kind, enumName, singlePrecision, default: usual }) {
  if (kind === 'enum') return `${enumName}::${usual}`;
  if (kind === 'texts') return `{${usual.map(text).join(', ')}}`;
  if (!singlePrecision) return String(usual);
  return Number.isInteger(usual) ? String(usual) : `${usual}f`;
}

/** "1 to 4096", "above 0, at most 10" */
function limitsOf({ kind, min, max, aboveMin, belowMax }) {
  if (kind !== 'integer' && kind !== 'number') return '';
  if (min !== undefined && max !== undefined && !aboveMin && !belowMax) return `${min} to ${max}`;
  const parts = [
    min === undefined ? '' : `${aboveMin ? 'above' : 'at least'} ${min}`,
    max === undefined ? '' : `${belowMax ? 'below' : 'at most'} ${max}`,
  ];
  return parts.filter(Boolean).join(', ');
}

function commentOf(option) {
  const limits = [limitsOf(option), option.unit].filter(Boolean).join(' ');
  const words = `${option.help} ${limits && `${limits[0].toUpperCase()}${limits.slice(1)}.`}`.trim().split(' ');
  const lines = ['    //'];
  for (const word of words) {
    if (lines.at(-1).length + 1 + word.length > COLUMNS) lines.push('    //');
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.map((line) => `${line}\n`).join('');
}

function memberOf(option) {
  const start = option.defaultFrom ? '; // default: the ' + option.defaultFrom : ` = ${literalOf(option)};`;
  return `${commentOf(option)}    ${typeOf(option)} ${option.name}${start}\n`;
}

function fallbackOf({ name, singlePrecision, defaultFrom }) {
  const type = singlePrecision ? 'float' : 'double';
  return `    ${type} ${name}_or_default() const { return ${name}.value_or(static_cast<${type}>(${defaultFrom})); }\n`;
}

function infoOf({ name, kind, min, max, aboveMin, belowMax }) {
  const fields = [`.name = ${text(name)}`];
  if (kind === 'integer' || kind === 'number') {
    if (min !== undefined) fields.push(`.min = ${min}`);
    if (max !== undefined) fields.push(`.max = ${max}`);
    if (aboveMin) fields.push('.above_min = true');
    if (belowMax) fields.push('.below_max = true');
  }
  return `    f(OptionInfo{${fields.join(', ')}}, options.${name});\n`;
}

export function headerOf(options) {
  const ours = options.filter(({ reader }) => reader);
  const enums = new Map(ours.filter(({ values }) => values).map(({ enumName, values }) => [enumName, values]));
  const members = ours.filter(({ reader }) => reader === 'READER_TRAINER');
  return `${HEAD}
namespace atelier {
${[...enums].map(([name, values]) => enumOf(name, values)).join('')}
// What a person may ask of training; TrainOptions adds what the machine and the checkpoint say.
struct DeclaredTrainOptions {
${members.map(memberOf).join('')}
${members
  .filter(({ defaultFrom }) => defaultFrom)
  .map(fallbackOf)
  .join('')}};

// f(OptionInfo, member) for each: whoever reads or checks them all needs no list of his own.
template <class Options, class F>
void for_each_option(Options& options, F&& f) {
${members.map(infoOf).join('')}}

} // namespace atelier
`;
}
