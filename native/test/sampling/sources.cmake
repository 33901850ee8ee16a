atelier_test(sampler_test ${CMAKE_CURRENT_LIST_DIR}/sampler_test.cpp)
target_compile_definitions(sampler_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
