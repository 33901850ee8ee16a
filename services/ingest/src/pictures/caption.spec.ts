import { composeCaption } from './caption';

describe('composeCaption', () => {
  it('keeps what came with the picture, made one line in NFC', () => {
    expect(composeCaption('  a cafe\u0301\r\n  at night\t', '', 100)).toBe('a caf\u00e9 at night');
  });

  it('puts the trigger phrase in front, unless it is in there already', () => {
    expect(composeCaption('a cat', 'sks style', 100)).toBe('sks style, a cat');
    expect(composeCaption('a cat in SKS style', 'sks style', 100)).toBe('a cat in SKS style');
  });

  it.each([undefined, '', ' \n'])('takes the trigger alone where the caption is %j', (given) => {
    expect(composeCaption(given, 'sks style', 100)).toBe('sks style');
  });

  it('says what to do when there is neither', () => {
    expect(() => composeCaption(undefined, '', 100)).toThrow('has no caption: write one into a .txt file beside it');
    expect(() => composeCaption(' \n', ' ', 100)).toThrow('has an empty caption');
  });

  it('refuses a caption over the limit, counted in bytes, with both figures', () => {
    expect(composeCaption('\u00e9'.repeat(50), '', 100)).toHaveLength(50);
    expect(() => composeCaption('\u00e9'.repeat(51), '', 100)).toThrow(
      'its caption has 102 bytes; 100 bytes are allowed',
    );
  });

  it('refuses a caption with NUL characters; other control characters become blanks', () => {
    expect(() => composeCaption('a\u0000 \u0000c\u0000', 'sks style', 100)).toThrow(
      'its caption holds NUL characters, so it is not text: save it as UTF-8',
    );
    expect(composeCaption('a\u0007cat\u001b', '', 100)).toBe('a cat');
  });
});
