atelier_test(safetensors_test ${CMAKE_CURRENT_LIST_DIR}/safetensors_test.cpp)
atelier_test(weight_source_test ${CMAKE_CURRENT_LIST_DIR}/weight_source_test.cpp)
target_compile_definitions(weight_source_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
