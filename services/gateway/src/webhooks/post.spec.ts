import dns, { type LookupAddress } from 'node:dns';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GatewayConfig, gatewaySettings } from '../gateway.config';
import { isPublicAddress, post, requirePublicUrl } from './post';
import { nextTry } from './retry';

type Found = (error: null, addresses: LookupAddress[]) => void;

async function serving(answer: RequestListener, ask: (port: number) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await ask((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is public', (address) =>
  expect(isPublicAddress(address)).toBe(true),
);
test.each([
  ...[
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
  ],
  ...['224.0.0.1', '::1', '::', 'fe80::1', 'fc00::1', 'ff02::1', '::ffff:127.0.0.1', '::ffff:169.254.169.254'],
  ...['64:ff9b::7f00:1', '2002:7f00:1::', '198.18.0.1', '192.0.2.1'],
])('%s is not', (address) => expect(isPublicAddress(address)).toBe(false));

describe('a delivery that may only go to public addresses', () => {
  test.each(['127.0.0.1', 'localhost', '0x7f.1', '2130706433', '[::1]', '[::ffff:7f00:1]'])(
    'does not go to %s, and nobody is connected to',
    (host) => {
      let asked = false;
      return serving(
        (_request, response) => {
          asked = true;
          response.end();
        },
        async (port) => {
          await expect(post(`http://${host}:${port}/`, {}, '{}', { toPrivate: false })).rejects.toThrow(
            /not public.*ATELIER_WEBHOOK_PRIVATE/,
          );
          expect(asked).toBe(false);
        },
      );
    },
  );

  test.each([
    ['inside alone', ['127.0.0.1']],
    ['outside and inside', ['8.8.8.8', '127.0.0.1']],
  ])(
    'goes nowhere where a name that was public once is %s now; what was judged is what is connected to',
    (_, addresses) => {
      let asked = false;
      const answer = addresses.map((address) => ({ address, family: 4 }));
      const noted: RequestListener = (_request, response) => {
        asked = true;
        response.end();
      };
      return serving(noted, async (port) => {
        let looks = 0; // a second one might have another answer
        const look = (_host: string, _options: object, done: Found): void => {
          looks++;
          done(null, answer);
        };
        const lookup = jest.spyOn(dns, 'lookup').mockImplementation(look as unknown as typeof dns.lookup);
        const delivered = post(`http://rebound.example:${port}/`, {}, '{}', { toPrivate: false });
        await expect(delivered.finally(() => lookup.mockRestore())).rejects.toThrow(
          'rebound.example is at an address that is not public',
        );
        expect([looks, asked]).toEqual([1, false]);
      });
    },
  );

  test('is said when it is added already, where its name can be looked up', async () => {
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '2130706433'])
      await expect(requirePublicUrl(`https://${host}/x`)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    for (const url of ['https://8.8.8.8/', 'https://nowhere.invalid/', 'here'])
      await expect(requirePublicUrl(url)).resolves.toBeUndefined();
  });

  test.each([
    [{}, true],
    [{ ATELIER_HTTP_HOST: '0.0.0.0' }, false],
    [{ ATELIER_PUBLIC_URL: 'https://atelier.example.com' }, false],
    [{ ATELIER_HTTP_HOST: '0.0.0.0', ATELIER_WEBHOOK_PRIVATE: 'true' }, true],
    [{ ATELIER_WEBHOOK_PRIVATE: 'false' }, false],
  ])(
    'is every one but those of a gateway that only this machine reaches, unless it is set: %j',
    (settings, toPrivate) => {
      const config = new GatewayConfig(gatewaySettings.parse({ ATELIER_NATS_URL: 'nats://unused', ...settings }));
      expect(config.webhooks.toPrivate).toBe(toPrivate);
    },
  );
});

test('an answer without an end is hung up on, one that does not come is waited for no longer than that', async () => {
  const chunk = Buffer.alloc(16 * 1024);
  const endless: RequestListener = (_request, response) => {
    const more = (): void => void response.write(chunk, () => setImmediate(more));
    more();
  };
  const to = { toPrivate: true };
  await serving(endless, async (port) => expect(await post(`http://127.0.0.1:${port}/`, {}, '{}', to)).toBe(200));
  await serving(
    () => undefined,
    (port) =>
      expect(post(`http://127.0.0.1:${port}/`, {}, '{}', { ...to, timeoutMs: 200 })).rejects.toThrow(
        /no answer within/,
      ),
  );
});

describe('tries', () => {
  const firstMs = 5000;
  const hour = 3_600_000;
  test('come after pauses that are three times as long each, up to an hour, a fifth more or less', () => {
    const pauses = [1, 2, 3, 7, 1000].map((tries) => nextTry({ tries, ageMs: 0, firstMs }, 0.5));
    expect(pauses).toEqual([5000, 15_000, 45_000, hour, hour]);
    expect([nextTry({ tries: 1, ageMs: 0, firstMs }, 0), nextTry({ tries: 1, ageMs: 0, firstMs }, 1)]).toEqual([
      4000, 6000,
    ]);
  });
  test('end after a day, but not before the fifth', () => {
    expect(nextTry({ tries: 30, ageMs: 24 * hour - 1, firstMs })).toBeGreaterThan(0);
    expect(nextTry({ tries: 30, ageMs: 24 * hour, firstMs })).toBeUndefined();
    expect(nextTry({ tries: 4, ageMs: 48 * hour, firstMs })).toBeGreaterThan(0);
    expect(nextTry({ tries: 5, ageMs: 48 * hour, firstMs })).toBeUndefined();
  });
});
