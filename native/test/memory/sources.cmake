atelier_test(stream_schedule_test ${CMAKE_CURRENT_LIST_DIR}/stream_schedule_test.cpp)
