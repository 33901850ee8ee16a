target_sources(atelier PRIVATE
  src/program/parking.cpp
  src/program/placement.cpp
  src/program/program.cpp
  src/program/sym.cpp
  src/program/unit_stream.cpp
)
