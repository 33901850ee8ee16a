import type { Type } from '@nestjs/common';
import { AdaptersController } from './adapters/adapters.controller';
import { DatasetsController } from './datasets/datasets.controller';
import { EventsController } from './events/events.controller';
import { FinetunesController } from './finetunes/finetunes.controller';
import { FinetuneTablesController } from './finetunes/tables.controller';
import { DrawingsController } from './images/drawings.controller';
import { ImagesController } from './images/images.controller';
import { InfoController } from './pages/info.controller';
import { PagesController } from './pages/pages.controller';
import { StoreController } from './store/store.controller';
import { WebhooksController } from './webhooks/webhooks.controller';

/** Everything with routes. */
export const controllers: Type[] = [
  DatasetsController,
  FinetunesController,
  FinetuneTablesController,
  AdaptersController,
  ImagesController,
  DrawingsController,
  EventsController,
  WebhooksController,
  StoreController,
  InfoController,
  PagesController,
];
