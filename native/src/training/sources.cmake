target_sources(atelier PRIVATE
  src/training/adam_state.cpp
  src/training/lora_bank.cpp
  src/training/micro_program.cpp
  src/training/schedules.cpp
  src/training/step_costs.cpp
)
