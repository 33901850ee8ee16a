// Services measure with these; the registry they belong to is injected (MeshModule) and served at /metrics.
export { Counter, Gauge, Histogram, Registry } from 'prom-client';
