atelier_test(emulated_model_test ${CMAKE_CURRENT_LIST_DIR}/emulated_model_test.cpp)
target_compile_definitions(emulated_model_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
target_link_libraries(emulated_model_test PRIVATE atelier_emulated_cuda)
