#include "program/parking.h"
#include "base/error.h"
#include "memory/stream_schedule.h"
#include "ops/ops.h"
#include <algorithm>

namespace atelier {
namespace {

// Behind those of the two kinds of weights. One in each direction is enough: an item is awaited before the next one
// begins.
constexpr int kOut = 2 * kStreamSlots, kBack = kOut + 1;
static_assert(kBack < Memory::kSlots);

uint64_t bytes_of(const Sym& s) { return static_cast<uint64_t>(s.rows * s.cols) * dtype_size(s.dtype); }

} // namespace

size_t Parking::emit_point(bool await_back, std::vector<Sym> back) {
    points_.push_back({program_.op_count(), false, await_back, {}});
    program_.emit(Transfers{this, points_.size() - 1, {std::move(back)}});
    return points_.size() - 1;
}

void Parking::Transfers::run(Ops& ops, const Program::Resolver& at) const {
    const Point& now = parking->points_[point];
    if (now.await_out) ops.memory().await(kOut);
    if (now.await_back) ops.memory().await(kBack);
    for (const size_t i : now.fetches) {
        const Item& item = parking->items_[i];
        for (size_t k = 0; k < item.to.size(); ++k)
            if (item.to[k])
                ops.memory().fetch(kBack, at(item.to[k]).data, parking->host_ + item.offsets[k], bytes_of(item.to[k]));
    }
}

void Parking::Park::run(Ops& ops, const Program::Resolver& at) const {
    std::byte* const host = parking->host_;
    require(host != nullptr, ErrorCode::internal, "tensors are parked before there is host memory for them");
    if (wait) ops.memory().await(kOut);
    const std::vector<uint64_t>& offsets = parking->items_[item].offsets;
    for (size_t k = 0; k < leaving.all.size(); ++k)
        if (leaving.all[k])
            ops.memory().park(kOut, host + offsets[k], at(leaving.all[k]).data, bytes_of(leaving.all[k]));
}

void Parking::step() { emit_point(false, {}); }

size_t Parking::leave(const std::vector<Sym>& matrices) {
    const size_t before = leaving_;
    Item item{matrices, {}, {}, 0};
    for (const Sym& s : matrices) {
        require(!s || s.ld == s.cols, ErrorCode::internal, "a slice of a matrix cannot be parked");
        item.offsets.push_back(host_bytes_);
        if (s) host_bytes_ += (bytes_of(s) + Program::kAlignment - 1) / Program::kAlignment * Program::kAlignment;
    }
    leaving_ = items_.size();
    leaving_since_ = points_.size();
    Park park{this, leaving_, before != kNone, {matrices}, {}};
    if (park.wait) {
        park.left.all = items_[before].from;
        items_[before].home = points_.size();
    }
    items_.push_back(std::move(item));
    program_.emit(std::move(park));
    return leaving_;
}

void Parking::settle() {
    if (leaving_ == kNone) return;
    if (points_.size() == leaving_since_) step();
    Item& item = items_[leaving_];
    item.home = std::min(leaving_since_ + 1, points_.size() - 1);
    points_[item.home].await_out = true;
    program_.touch_at(points_[item.home].op, item.from, Access::read);
    leaving_ = kNone;
}

std::vector<Sym> Parking::back(size_t index) {
    settle();
    Item& item = items_[index];
    require(item.to.empty(), ErrorCode::internal, "item ", index, " of what is parked comes back twice");
    if (points_.size() == item.home) step();
    const size_t ahead = last_back_ != kNone ? last_back_ : points_.size() - std::min<size_t>(points_.size(), 2);
    for (const Sym& s : item.from)
        item.to.push_back(s ? program_.temp(s.rows, s.cols, "brought back", s.dtype) : Sym{});
    Point& begin = points_[std::max(ahead, item.home)];
    begin.fetches.push_back(index);
    program_.touch_at(begin.op, item.to, Access::write);
    last_back_ = emit_point(true, item.to);
    return item.to;
}

void await_parking(Memory& memory) {
    memory.await(kOut);
    memory.await(kBack);
}

} // namespace atelier
