import { readSettings } from '../settings';
import { servicePrograms } from './service-set';

test('the gateway is told every name that it goes by', () => {
  const env = { ATELIER_HTTP_HOST: '0.0.0.0', ATELIER_PUBLIC_URL: 'https://atelier.example.com,http://atelier.lan' };
  const gateway = servicePrograms(readSettings({}, env), { natsUrl: 'nats://127.0.0.1:4222', httpPort: 7871 }, {}).find(
    ({ name }) => name === 'gateway',
  );
  expect(gateway?.env).toMatchObject({ ...env, ATELIER_HTTP_PORT: '7871' });
});

test('what opens a door reaches whoever needs it, and nobody else', () => {
  const plain = { PATH: '/bin', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318', ATELIER_THREADS: '2' };
  const opening = { HF_TOKEN: 'hf', AWS_SECRET_ACCESS_KEY: 'aws', GITHUB_TOKEN: 'gh', PGPASSWORD: 'pg' };
  const gateways = { ATELIER_API_TOKEN: 'a-secret-token' };
  const another = { ATELIER_NATS_SEED_FILE: '/seeds/admin.nk', ATELIER_NATS_TLS_KEY: '/tls/key.pem' };
  const meeting = {
    natsUrl: 'nats://127.0.0.1:4222',
    httpPort: 7870,
    credentialsOf: (service: string) => ({ seedFile: `/seeds/${service}.nk` }),
  };
  const env = { ...plain, ...opening, ...gateways, ...another };
  for (const { name, env: own } of servicePrograms(readSettings({}, plain), meeting, env)) {
    expect(own).toMatchObject({ ...plain, ATELIER_NATS_SEED_FILE: `/seeds/${name}.nk` });
    for (const secret of [...Object.keys(opening), 'ATELIER_NATS_TLS_KEY']) expect(own).not.toHaveProperty(secret);
    expect(own.ATELIER_API_TOKEN).toBe(name === 'gateway' ? gateways.ATELIER_API_TOKEN : undefined);
  }
});
