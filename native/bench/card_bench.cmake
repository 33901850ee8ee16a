if(ATELIER_WITH_CUDA)
  atelier_bench(card_bench card_bench.cpp)
  target_include_directories(card_bench PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
endif()
