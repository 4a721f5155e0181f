using CsCheck;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Tests.Scheduling;

public class WaitingRoomTests
{
    [Fact]
    public void Lone_caller_gets_as_many_places_as_announced_and_the_rest_stays_for_others()
    {
        Gen.Int[1, 300].Sample(places =>
        {
            var room = new WaitingRoom(places);
            for (int i = 0; i < WaitingRoom.MostOf(places); i++)
                room.Enter("flood");
            Assert.Throws<EngineOverloadedException>(() => room.Enter("flood"));
            if (WaitingRoom.MostOf(places) < places)
                room.Enter("other");
        });
    }

    [Fact]
    public void Any_entering_and_leaving_stays_within_the_places_and_forgets_who_is_gone()
    {
        Gen.Select(Gen.Int[1, 20], Gen.Select(Gen.Int[0, 3], Gen.Bool).Array[0, 200]).Sample((places, actions) =>
        {
            var room = new WaitingRoom(places);
            int[] held = new int[4];
            foreach (var (caller, enters) in actions)
            {
                if (!enters)
                {
                    if (held[caller] > 0)
                        room.Leave($"{caller}");
                    held[caller] = Math.Max(0, held[caller] - 1);
                    continue;
                }

                int free = places - held.Sum();
                bool admitted = true;
                try
                {
                    room.Enter($"{caller}");
                    held[caller]++;
                }
                catch (EngineOverloadedException)
                {
                    admitted = false;
                }

                Assert.Equal(held[caller] - (admitted ? 1 : 0) < 7 * free, admitted);
                Assert.InRange(held.Sum(), 0, places);
            }

            Assert.Equal(held.Count(h => h > 0), room.Callers);
        });
    }
}
