#pragma once

#include <vector>

#include "runtime/base/ids.hpp"

/// What kind of type a value's is, for what reads and writes values member by member.
namespace cox {

template <class T>
inline constexpr bool kIsId = false;
template <class Tag>
inline constexpr bool kIsId<Id<Tag>> = true;

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

}  // namespace cox
