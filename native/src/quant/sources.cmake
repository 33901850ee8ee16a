target_sources(atelier PRIVATE
  src/quant/dynamic_map.cpp
  src/quant/nf4.cpp
)
