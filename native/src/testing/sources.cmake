# A library of its own, for tests, benchmarks and the addon that the parity suite loads: nothing that ships links it.
add_library(atelier_testing STATIC EXCLUDE_FROM_ALL
  src/testing/models.cpp
  src/testing/optimizer.cpp
  src/testing/pieces.cpp
  src/testing/schedules.cpp
)
target_include_directories(atelier_testing PRIVATE src)
target_link_libraries(atelier_testing PUBLIC atelier PRIVATE nlohmann_json::nlohmann_json)
