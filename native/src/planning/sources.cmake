target_sources(atelier PRIVATE
  src/planning/device_profile.cpp
  src/planning/memory_planner.cpp
  src/planning/placement.cpp
  src/planning/residence.cpp
  src/planning/stream_schedule.cpp
  src/planning/widening.cpp
)
