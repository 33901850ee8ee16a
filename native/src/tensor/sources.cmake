target_sources(atelier PRIVATE
  src/tensor/dtype.cpp
  src/tensor/parking.cpp
  src/tensor/program.cpp
  src/tensor/unit_stream.cpp
)
