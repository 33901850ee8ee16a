atelier_test(program_test ${CMAKE_CURRENT_LIST_DIR}/program_test.cpp)
atelier_test(parking_test ${CMAKE_CURRENT_LIST_DIR}/parking_test.cpp)
target_link_libraries(parking_test PRIVATE atelier_emulated_cuda)
