// The engine's public face, for whoever wants all of it: what the Node addon, the tests of whole models and the
// benchmarks may include. Objects hide their insides (src/engine implements them); every call blocks, is not reentrant
// on one object, and throws atelier::Error.
#pragma once
#include "atelier/adapter.h"
#include "atelier/checkpoint.h"
#include "atelier/device.h"
#include "atelier/error.h"
#include "atelier/plan.h"
#include "atelier/sampler.h"
#include "atelier/text.h"
#include "atelier/trainer.h"
#include "atelier/transformer.h"
#include "atelier/types.h"
#include "atelier/vae.h"
