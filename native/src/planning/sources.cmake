target_sources(atelier PRIVATE
  src/planning/device_profile.cpp
  src/planning/memory_planner.cpp
  src/planning/widening.cpp
)
