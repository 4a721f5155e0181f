// Attention of every row over its sequence's paged keys and values, all query heads that share a KV head together, so
// each key and value is read once for up to HEADS of them. Positions are walked in tiles with a running maximum (as in
// FlashAttention); several blocks may share a row, each a part of its positions, and merge_attention joins them.
#define HEADS 4
#define LANES 8
#define TILE 128
#define MAX_WIDTH 256
#define LOWEST (-3.0e38f)

// Grid: rows x (KV heads * pieces of HEADS query heads) x parts. Threads: 128.
KERNEL attend(
    const element* qkv, int pitch, const element* keys, const element* values,
    const int* positions, const int* tables, const int* blocks, int block_size, int window,
    element* context, float* partial, int heads, int kv_heads, int width, float scale)
{
    SHARED(float, query, HEADS * MAX_WIDTH);
    SHARED(float, score, HEADS * TILE);
    SHARED(float, mixed, HEADS * MAX_WIDTH);
    SHARED(int, slot, TILE);
    SHARED(float, maximum, HEADS);
    SHARED(float, rescale, HEADS);
    SHARED(float, total, HEADS);

    int share = heads / kv_heads, pieces = (share + HEADS - 1) / HEADS;
    int kv_head = blockIdx.y / pieces, first_head = kv_head * share + blockIdx.y % pieces * HEADS;
    int count = (kv_head + 1) * share - first_head;
    count = count < HEADS ? count : HEADS;
    int end = positions[blockIdx.x] + 1, begin = end > window ? end - window : 0;
    int parts = gridDim.z, length = (end - begin + parts - 1) / parts;
    begin += blockIdx.z * length;
    end = begin + length < end ? begin + length : end;

    const element* row = qkv + (long long)blockIdx.x * pitch + first_head * width;
    const int* table = blocks + tables[blockIdx.x];
    for (int i = threadIdx.x; i < count * width; i += blockDim.x)
        query[i] = widen(row[i]) * scale;
    if (threadIdx.x < HEADS)
    {
        maximum[threadIdx.x] = LOWEST;
        total[threadIdx.x] = 0;
    }

    // For the values, threads stand side by side on pairs of columns, in teams that take every so many positions each.
    int half = width / 2, teams = blockDim.x / half, team = threadIdx.x / half, column = threadIdx.x % half;
    int lane = threadIdx.x % LANES, warp = threadIdx.x / WARP;
    float a[HEADS], b[HEADS];
    for (int h = 0; h < HEADS; h++)
        a[h] = b[h] = 0;
    for (int tile = begin; tile < end; tile += TILE)
    {
        int tokens = end - tile < TILE ? end - tile : TILE;
        __syncthreads();
        for (int i = threadIdx.x; i < tokens; i += blockDim.x)
        {
            int position = tile + i;
            slot[i] = table[position / block_size] * block_size + position % block_size;
        }

        __syncthreads();
        // Every lane of a warp goes round equally often, because all of them take part in the sums.
        for (int i = 0; i < tokens; i += blockDim.x / LANES)
        {
            int token = i + threadIdx.x / LANES;
            float dot[HEADS];
            for (int h = 0; h < HEADS; h++)
                dot[h] = 0;
            if (token < tokens)
            {
                const pair* key = (const pair*)(keys + ((long long)slot[token] * kv_heads + kv_head) * width);
                for (int p = lane; p < half; p += LANES)
                {
                    pair k = key[p];
                    float low = widen(k.first), high = widen(k.second);
                    for (int h = 0; h < HEADS; h++)
                    {
                        if (h < count)
                            dot[h] += low * query[h * width + 2 * p] + high * query[h * width + 2 * p + 1];
                    }
                }
            }

            for (int h = 0; h < HEADS; h++)
            {
                float sum = group_sum(dot[h], LANES);
                if (lane == 0 && token < tokens && h < count)
                    score[h * TILE + token] = sum;
            }
        }

        __syncthreads();
        if (warp < count)
        {
            float highest = maximum[warp], sum = 0;
            float* weights = score + warp * TILE;
            for (int i = threadIdx.x % WARP; i < tokens; i += WARP)
                highest = weights[i] > highest ? weights[i] : highest;
            highest = warp_max(highest);
            for (int i = threadIdx.x % WARP; i < tokens; i += WARP)
            {
                weights[i] = expf(weights[i] - highest);
                sum += weights[i];
            }

            sum = group_sum(sum, WARP);
            if (threadIdx.x % WARP == 0)
            {
                rescale[warp] = expf(maximum[warp] - highest);
                total[warp] = total[warp] * rescale[warp] + sum;
                maximum[warp] = highest;
            }
        }

        __syncthreads();
        for (int h = 0; h < HEADS; h++)
        {
            if (h < count)
            {
                a[h] *= rescale[h];
                b[h] *= rescale[h];
            }
        }

        for (int i = team; i < tokens && team < teams; i += teams)
        {
            pair v = ((const pair*)(values + ((long long)slot[i] * kv_heads + kv_head) * width))[column];
            for (int h = 0; h < HEADS; h++)
            {
                if (h < count)
                {
                    a[h] += score[h * TILE + i] * widen(v.first);
                    b[h] += score[h * TILE + i] * widen(v.second);
                }
            }
        }
    }

    for (int turn = 0; turn < teams; turn++)
    {
        if (team == turn)
        {
            for (int h = 0; h < HEADS; h++)
            {
                if (h < count)
                {
                    float* sum = mixed + h * width + 2 * column;
                    sum[0] = (turn > 0 ? sum[0] : 0) + a[h];
                    sum[1] = (turn > 0 ? sum[1] : 0) + b[h];
                }
            }
        }

        __syncthreads();
    }

    for (int i = threadIdx.x; i < count * width; i += blockDim.x)
    {
        int head = i / width;
        if (parts == 1)
        {
            context[((long long)blockIdx.x * heads + first_head) * width + i] = narrow(total[head] > 0 ? mixed[i] / total[head] : 0);
            continue;
        }

        float* part = partial + (((long long)blockIdx.x * heads + first_head + head) * parts + blockIdx.z) * (width + 2);
        part[i % width] = mixed[i];
        if (i % width == 0)
        {
            part[width] = maximum[head];
            part[width + 1] = total[head];
        }
    }
}

// Joins the parts of every row and head. Grid: rows x heads.
KERNEL merge_attention(const float* partial, element* context, int parts, int width)
{
    long long head = (long long)blockIdx.x * gridDim.y + blockIdx.y;
    const float* part = partial + head * parts * (width + 2);
    float highest = LOWEST, total = 0;
    for (int p = 0; p < parts; p++)
        highest = part[p * (width + 2) + width] > highest ? part[p * (width + 2) + width] : highest;
    for (int p = 0; p < parts; p++)
        total += part[p * (width + 2) + width + 1] * expf(part[p * (width + 2) + width] - highest);
    for (int i = threadIdx.x; i < width; i += blockDim.x)
    {
        float sum = 0;
        for (int p = 0; p < parts; p++)
            sum += part[p * (width + 2) + i] * expf(part[p * (width + 2) + width] - highest);
        context[head * width + i] = narrow(total > 0 ? sum / total : 0);
    }
}
