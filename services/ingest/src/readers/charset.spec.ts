import { execFileSync } from 'node:child_process';
import { memoryFile, reading, summary } from '../../test/memory-files';
import { readFolder } from './folder';

/** In the bytes of an encoding, by the system's iconv: TextDecoder has no counterpart. */
const inEncoding = (encoding: string, text: string): Buffer =>
  execFileSync('iconv', ['-f', 'UTF-8', '-t', encoding], { input: text });

const read = (captions: Record<string, Uint8Array>) =>
  summary(
    readFolder(
      Object.entries(captions).flatMap(([stem, bytes]) => [
        memoryFile(`${stem}.png`, 'P'),
        memoryFile(`${stem}.txt`, bytes),
      ]),
      reading,
    ),
  );

describe('captions that are not in UTF-8', () => {
  it.each([
    ['CP1252', 'Windows-1252 (cp1252)', 'a man\u2019s hat \u2013 caf\u00e9'],
    ['CP1252', 'Windows-1252 (cp1252)', 'Ein M\u00e4dchen mit gr\u00fcnem Hut'],
    [
      'CP1251',
      'Windows-1251',
      '\u043a\u0440\u0430\u0441\u043d\u044b\u0439 \u0434\u043e\u043c \u0432 \u0441\u043d\u0435\u0433\u0443',
    ],
    ['GBK', 'GBK (GB18030)', '\u4e00\u53ea\u732b\u5750\u5728\u7ea2\u8272\u5c4b\u9876\u4e0a'],
    ['GBK', 'GBK (GB18030)', 'a photo of \u7ea2\u8272\u7684\u623f\u5b50, best quality'],
    ['SHIFT_JIS', 'Shift-JIS', '\u8d64\u3044\u5c4b\u6839\u306e\u4e0a\u306e\u732b'],
    ['SHIFT_JIS', 'Shift-JIS', '1girl, \u8d64\u3044\u5c4b\u6839, best quality'],
    ['BIG5', 'Big5', '\u4e00\u96bb\u8c93\u5750\u5728\u7d05\u8272\u5c4b\u9802\u4e0a'],
    ['EUC-KR', 'EUC-KR (CP949)', '\ube68\uac04 \uc9c0\ubd95 \uc704\uc758 \uace0\uc591\uc774'],
    ['EUC-JP', 'EUC-JP', '\u8d64\u3044\u5c4b\u6839\u306e\u4e0a\u306e\u732b'],
  ])('in %s are read and said to be %s', async (encoding, shown, text) => {
    expect(await read({ a: inEncoding(encoding, text) })).toEqual([
      `a.png: ${text} ~ has a caption (a.txt) that is not in UTF-8 and was read as ${shown}, which was detected: if its words are wrong, save it as UTF-8`,
    ]);
  });

  it('are looked at together: one word alone would tell nothing', async () => {
    const [cat, roof] = ['\u732b', '\u5915\u66ae\u308c\u306e\u96ea\u306e\u4e2d\u306e\u8d64\u3044\u5bb6'];
    expect(await read({ a: inEncoding('SHIFT_JIS', cat), b: inEncoding('SHIFT_JIS', roof) })).toEqual([
      expect.stringContaining(`a.png: ${cat} ~`),
      expect.stringContaining(`b.png: ${roof} ~`),
    ]);
  });

  it('leave those in UTF-8 as they are', async () => {
    expect(await read({ a: inEncoding('CP1252', 'caf\u00e9'), b: Buffer.from('\u00fcber') })).toEqual([
      expect.stringContaining('a.png: caf\u00e9 ~'),
      'b.png: \u00fcber',
    ]);
  });
});
