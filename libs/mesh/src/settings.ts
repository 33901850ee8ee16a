// Every variable of the environment that means something to Atelier, whoever reads it: one environment is set for services, command line,
// scripts and tests together, so each of them can tell a slip of the pen from what another one reads.
import leven from 'leven';

const PREFIX = 'ATELIER_';

/** Settings of services and of the command line; tools/settings.spec.ts holds the list to the sources and to the documents. */
export const SETTINGS: readonly string[] = [
  'ATELIER_ADAPTER_MIB',
  'ATELIER_API_TOKEN',
  'ATELIER_API_TOKENS_FILE',
  'ATELIER_BODY_IDLE_SECONDS',
  'ATELIER_COMPUTE',
  'ATELIER_CONNECTIONS',
  'ATELIER_CORS_ORIGINS',
  'ATELIER_CUBLASLT',
  'ATELIER_DATA',
  'ATELIER_DEVICE',
  'ATELIER_DEVICE_MIB',
  'ATELIER_DRAWINGS_MIB',
  'ATELIER_GENERATE_SECONDS',
  'ATELIER_HEALTH_PORT',
  'ATELIER_HEARTBEAT_SECONDS',
  'ATELIER_HTTP_GRACE_SECONDS',
  'ATELIER_HTTP_HOST',
  'ATELIER_HTTP_PORT',
  'ATELIER_IDLE_SECONDS',
  'ATELIER_INFERENCE_GRACE_SECONDS',
  'ATELIER_INFERENCE_QUANT',
  'ATELIER_INFERENCE_SAMPLERS',
  'ATELIER_INGEST_DATASETS',
  'ATELIER_INGEST_MAX_CAPTION_KIB',
  'ATELIER_INGEST_MAX_DATASET_MINUTES',
  'ATELIER_INGEST_MAX_FILES',
  'ATELIER_INGEST_MAX_FILE_SECONDS',
  'ATELIER_INGEST_MAX_MEGAPIXELS',
  'ATELIER_INGEST_MAX_MEMORY_MIB',
  'ATELIER_INGEST_MAX_PICTURE_MIB',
  'ATELIER_INGEST_MAX_ROW_GROUP_MIB',
  'ATELIER_INGEST_MAX_UNPACKED_MIB',
  'ATELIER_INGEST_MAX_UNPACK_RATIO',
  'ATELIER_INGEST_PARALLEL',
  'ATELIER_INGEST_SPOOL',
  'ATELIER_LOG_LEVEL',
  'ATELIER_MODEL',
  'ATELIER_MODEL_DIR',
  'ATELIER_NATS_PORT',
  'ATELIER_NATS_REPLICAS',
  'ATELIER_NATS_SEED_FILE',
  'ATELIER_NATS_SERVER',
  'ATELIER_NATS_TLS_CA',
  'ATELIER_NATS_TLS_CERT',
  'ATELIER_NATS_TLS_KEY',
  'ATELIER_NATS_URL',
  'ATELIER_ONCE',
  'ATELIER_PREVIEWS_KEPT_DAYS',
  'ATELIER_PROMPTS_KEPT_HOURS',
  'ATELIER_PROMPTS_MIB',
  'ATELIER_PROMPTS_TOGETHER',
  'ATELIER_PUBLIC_URL',
  'ATELIER_READS_PER_SECOND',
  'ATELIER_STUDIO',
  'ATELIER_SWEEP_GRACE_HOURS',
  'ATELIER_SWEEP_MINUTES',
  'ATELIER_TEXT_TOKENS',
  'ATELIER_THREADS',
  'ATELIER_TRAINER_PREFETCH',
  'ATELIER_UPLOADS',
  'ATELIER_UPLOAD_FILES',
  'ATELIER_UPLOAD_FILE_MIB',
  'ATELIER_UPLOAD_TOTAL_MIB',
  'ATELIER_WEBHOOK_PRIVATE',
  'ATELIER_WEBHOOK_RETRY_SECONDS',
  'ATELIER_WRITES_PER_SECOND',
];

/** What only tests and tools read. */
export const TOOL_SETTINGS: readonly string[] = [
  'ATELIER_ADDON_PATH',
  'ATELIER_CARD_ROOT',
  'ATELIER_FIXTURES',
  'ATELIER_FUZZ_FILES',
  'ATELIER_FUZZ_SEED',
  'ATELIER_TEST_NATS_IMAGE',
  'ATELIER_TEST_PROGRESS',
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What Kubernetes and Docker's links put into every container for a service named atelier or atelier-something: they mean its address, not
 * a setting of ours, though one of them may be called as a setting is (a service atelier-http gives ATELIER_HTTP_PORT=tcp://10.0.0.7:80).
 */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;

function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value));
}

/** The environment's variables that are Atelier's, without those that are set to nothing. */
export function settingsIn(env: Environment): Record<string, string> {
  const ours = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return name.startsWith(PREFIX) && value !== undefined && value !== '' && !isServiceLink(name, value);
  });
  return Object.fromEntries(ours);
}

/** By name, what is wrong with those that nothing reads. Their values are not told: one may be a token. */
export function unknownSettings(env: Environment): Record<string, string> {
  const known = [...SETTINGS, ...TOOL_SETTINGS];
  const unknown = Object.keys(settingsIn(env)).filter((name) => !known.includes(name));
  return Object.fromEntries(
    unknown.map((name) => [
      name,
      `is no setting: the nearest is ${nearest(name, known)}. Correct its name, or unset it`,
    ]),
  );
}

/** ATELIER_PREFETCH is ATELIER_TRAINER_PREFETCH cut short, though other names are nearer letter by letter. */
function nearest(name: string, known: readonly string[]): string {
  const longer = known.find((each) => each.endsWith(name.slice(PREFIX.length - 1)));
  if (longer) return longer;
  return known.reduce((best, each) => (leven(name, each) < leven(name, best) ? each : best));
}
