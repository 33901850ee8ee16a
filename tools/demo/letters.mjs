// The 5 × 7 letters of character displays, as SVG paths. A clean machine may have no font at all, and then SVG text draws nothing; these
// need none, and give the same picture everywhere.

// For each of ASCII 32 to 126 five columns, from the left; in each the lowest bit is the top row.
const COLUMNS =
  '0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649552250 0005030000 001c224100 0041221c00 082a1c2a08 08083e0808 0080703000 0808080808 0000606000 2010080402 ' +
  '3e5149453e 00427f4000 7249494946 2141494d33 1814127f10 2745454539 3c4a494931 4121110907 3649494936 464949291e 0000140000 0040340000 0008142241 1414141414 0041221408 0201590906 ' +
  '3e415d594e 7c1211127c 7f49494936 3e41414122 7f4141413e 7f49494941 7f09090901 3e41415173 7f0808087f 00417f4100 2040413f01 7f08142241 7f40404040 7f021c027f 7f0408107f 3e4141413e ' +
  '7f09090906 3e4151215e 7f09192946 2649494932 03017f0103 3f4040403f 1f2040201f 3f4038403f 6314081463 0304780403 6159494d43 007f414141 0204081020 004141417f 0402010204 4040404040 ' +
  '0003070800 2054547840 7f28444438 3844444428 384444287f 3854545418 00087e0902 18a4a49c78 7f08040478 00447d4000 2040403d00 7f10284400 00417f4000 7c04780478 7c08040478 3844444438 ' +
  'fc18242418 18242418fc 7c08040408 4854545424 04043f4424 3c4040207c 1c2040201c 3c4030403c 4428102844 4c9090907c 4464544c44 0008364100 0000770000 0041360800 0201020402';

const GLYPHS = COLUMNS.split(' ').map((hex) => hex.match(/../g).map((column) => parseInt(column, 16)));
const ADVANCE = 6;
export const LINE_HEIGHT = 10;

/** What no display had: typographic signs as their plain ones, other letters as a question mark. */
const plain = (text) =>
  text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[‘’]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[–—]/g, '-')
    .replace(/…/g, '...')
    .replace(/[^ -~]/g, '?');

export const textWidth = (text, dot = 2) => (plain(text).length * ADVANCE - 1) * dot;

/** @returns an SVG path with its top left corner at (x, y); `dot` is the size of a dot in pixels */
export function letters(text, x, y, { dot = 2, fill = '#222' } = {}) {
  let path = '';
  [...plain(text)].forEach((character, index) => {
    GLYPHS[character.charCodeAt(0) - 32].forEach((column, dx) => {
      for (let dy = 0; dy < 8; dy++)
        if (column & (1 << dy)) path += `M${x + (index * ADVANCE + dx) * dot} ${y + dy * dot}h${dot}v${dot}h-${dot}z`;
    });
  });
  return `<path d="${path}" fill="${fill}"/>`;
}

/** The text in lines of at most `width` pixels, broken between words. */
export function wrapped(text, width, dot = 2) {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (textWidth(longer, dot) <= width || lines.at(-1) === '') lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
