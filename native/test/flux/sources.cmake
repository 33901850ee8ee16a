atelier_test(transformer_test ${CMAKE_CURRENT_LIST_DIR}/transformer_test.cpp)
target_compile_definitions(transformer_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
