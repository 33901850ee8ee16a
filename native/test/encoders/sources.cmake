atelier_test(encoders_test ${CMAKE_CURRENT_LIST_DIR}/encoders_test.cpp)
target_compile_definitions(encoders_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
