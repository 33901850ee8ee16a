// What the public headers declare, and how the addon's sources call it.

const KEYWORDS = /^(if|for|while|switch|return|sizeof|static_cast)$/;

/** @returns [{ name, least, most }] of the functions that a header declares for others to call, and of how many arguments */
export function declaredIn(header) {
  const text = header
    .replace(/\/\/.*$/gm, '')
    .replace(/^#.*$/gm, '')
    .replace(/\s+/g, ' ');
  const found = [];
  for (const { 1: name, index, 0: all } of text.matchAll(/[\w>&*] ?\b([a-z]\w*)\(/g)) {
    const open = index + all.length;
    const inside = text.slice(open, closing(text, open));
    const before = text.slice(0, index);
    if (KEYWORDS.test(name) || /\b(inline|constexpr|private:)[^;{}]*$/.test(before)) continue;
    if (
      !/^\)( const)?( noexcept)?( \{ return| ?;)/.test(text.slice(open + inside.length)) ||
      / \{ return/.test(text.slice(open + inside.length).slice(0, 22))
    )
      continue; // defined here: for convenience, not for the addon
    if (/std::function<[^;]*$/.test(before)) continue;
    const parameters = split(inside);
    found.push({ name, least: parameters.filter((each) => !each.includes('=')).length, most: parameters.length });
  }
  return found;
}

/** How many arguments a source gives where it calls name: [2, 3] */
export function callsOf(source, name) {
  const counts = [];
  for (const { index, 0: all } of source.matchAll(new RegExp(String.raw`(?:->|\.|::)${name}\(`, 'g'))) {
    const open = index + all.length;
    counts.push(split(source.slice(open, closing(source, open))).length);
  }
  return counts;
}

function closing(text, from) {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++;
    if (')]}'.includes(text[i]) && --depth === 0) return i;
  }
  return text.length;
}

/** At commas outside of brackets. */
function split(list) {
  let depth = 0;
  const parts = [''];
  for (const letter of list) {
    if ('([{<'.includes(letter)) depth++;
    if (')]}>'.includes(letter)) depth--;
    if (letter === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += letter;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}
