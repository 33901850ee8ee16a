export { Attempts, type Attempt } from './attempts';
export { bootstrapService, runUntilSignal, startService, type RunningService } from './bootstrap';
export { tellBuild } from './build-info';
export { callService, type CallOptions } from './calls';
export { problemsOfClaims, type Claim } from './claims';
export { baseSettings, loadConfig } from './config';
export { CREDENTIALS_SETTINGS, credentialsEnv, credentialsOf, type Credentials } from './credentials';
export { firstConnect, type FirstConnectOptions } from './first-connect';
export {
  ensureEventConsumer,
  eventConsumers,
  removeEventConsumer,
  takeEvents,
  type EventSettlement,
  type TakenEvent,
} from './event-consumer';
export { createRegistry, meshHealth, type MeshHealth } from './health';
export { Answers, from, GivenUp, Work, type FromProvider, type WorkHandlerOptions } from './handlers';
export { isLocked, takeLock, type Lock } from './lock';
export { createLogger, nestLogger, type Logger } from './logging';
export { Mesh, type MeshConfig } from './mesh';
export { MeshModule, type MeshModuleOptions } from './mesh.module';
export { Counter, Gauge, Histogram, Registry } from './metrics';
export {
  natsServerBinary,
  natsServerConfig,
  natsServerSyncs,
  startNatsServer,
  type NatsServer,
  type NatsServerOptions,
} from './nats-server';
export { atOnce, STOPPING_PATIENCE_MS, throughOutage, type OutageOptions, type Patience } from './outage';
export { deadLetter, done, isPermanent, outcomeOf, retryLater, type Ending, type Outcome } from './outcome';
export { hasNoResponders, isConflict, isMeshAway, isNotFound, isTimeout, isUnanswered } from './nats-errors';
export { takesConnections } from './ping';
export { answerProbes, serveProbes, type Probed } from './probes';
export { consumerName } from './consumer-name';
export { provisionMesh, workPolicies, type WorkPolicy } from './provision';
export { privately } from './privately';
export { publishEvent, publishWork, type MessageType, type Published } from './publish';
export { isQueued, publishWorkOnce, workLeft, type OnceOptions, type WorkLeft } from './publish-once';
export { deadLetterFigures, queueFigures, streamFigures, type QueueFigures, type StreamFigures } from './queue-figures';
export { Readiness } from './readiness';
export { SETTINGS, settingsIn, TOOL_SETTINGS, unknownSettings } from './settings';
export { ServiceStatus } from './status';
export { asStoreFull, isStoreFull, orStoreFull, StoreFull } from './store-full';
export { describeStore, isFull, reserveOf, StoreRoom, type Purpose, type StoreState } from './store-room';
export {
  eventAt,
  lastEventSequence,
  subscribeDeadLetters,
  subscribeEvents,
  type ReceivedEvent,
  type SubscribeOptions,
} from './subscribe';
export { LOGGER } from './tokens';
export * from './tracing';
export { VERSION } from './version';
export {
  ensureSeeds,
  keyVariable,
  permissionsOf,
  seedFile,
  usersConfig,
  type Permissions,
  type PublicKeys,
} from './users';
export { walkStream, type WalkedMessage } from './walk';
export { within } from './within';
export { JetStreamStrategy, type StrategyOptions } from './strategy';
export type { GivenUpContext, HandleWork, WorkContext, WorkerOptions } from './work';
export { runWorker } from './worker';
