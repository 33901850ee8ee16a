target_sources(atelier PRIVATE
  src/memory/constants.cpp
  src/memory/host_memory.cpp
  src/memory/placed_units.cpp
  src/memory/residence.cpp
  src/memory/stream_schedule.cpp
)
