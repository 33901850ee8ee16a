target_sources(atelier PRIVATE
  src/engine/adapter.cpp
  src/engine/card_plan.cpp
  src/engine/clip_text.cpp
  src/engine/device.cpp
  src/engine/transformer.cpp
  src/engine/inspect.cpp
  src/engine/kernel_case.cpp
  src/engine/kernel_check.cpp
  src/engine/kernel_families.cpp
  src/engine/one_shot.cpp
  src/engine/sampler.cpp
  src/engine/t5_text.cpp
  src/engine/train_plan.cpp
  src/engine/trainer.cpp
  src/engine/training_state.cpp
  src/engine/vae.cpp
)
