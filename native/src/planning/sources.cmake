target_sources(atelier PRIVATE
  src/planning/placement.cpp
)
