foreach(subject trainer score keep budget schedules noise lora_bank train_options)
  atelier_test(${subject}_test ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.cpp)
  target_compile_definitions(${subject}_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
endforeach()
