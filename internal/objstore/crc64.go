package objstore

import "github.com/minio/crc64nvme"

// crc64Poly is the reflected CRC-64/NVME polynomial (NVM Express base
// specification, and the x-amz-checksum-crc64nvme header of S3).
const crc64Poly = 0x9a6c9329ac4bc9b5

// UpdateCRC64 continues a CRC64NVME with more bytes; begin with zero.
func UpdateCRC64(sum uint64, p []byte) uint64 { return crc64nvme.Update(sum, p) }

// CombineCRC64 returns the CRC64NVME of a followed by b from the two sums and
// the length of b in bytes, without reading either again (as zlib's
// crc32_combine: appending zeros is a linear map over GF(2)).
func CombineCRC64(a, b uint64, lenB int64) uint64 {
	var odd, even [64]uint64
	odd[0] = crc64Poly // the map of one zero bit
	for i := 1; i < 64; i++ {
		odd[i] = 1 << (i - 1)
	}
	square(&even, &odd) // two bits
	square(&odd, &even) // four bits
	for lenB > 0 {
		square(&even, &odd) // first pass: one byte
		if lenB&1 != 0 {
			a = times(&even, a)
		}
		lenB >>= 1
		if lenB == 0 {
			break
		}
		square(&odd, &even)
		if lenB&1 != 0 {
			a = times(&odd, a)
		}
		lenB >>= 1
	}
	return a ^ b
}

func times(m *[64]uint64, v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func square(dst, m *[64]uint64) {
	for i := range m {
		dst[i] = times(m, m[i])
	}
}
