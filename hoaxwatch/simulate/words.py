"""The words of the invented world: topics with what is said about them, in three languages.

Everything here is ours and made up: the city, its offices, its rumours. None of it may enter
training, validation or a threshold (the README says why). A template has slots in braces; `SLOTS`
fills them, so that a text seldom repeats unless somebody repeats it on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: What a text is: a calm post, a false claim, or somebody who puts a claim right.
Stance = Literal["calm", "false", "correction"]
#: language -> templates
Templates = Mapping[str, tuple[str, ...]]

#: language -> slot -> what may stand there
SLOTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "place": (
            *("Eldwick", "Marrow Bay", "Port Sallow", "Upper Quarn", "Tarn Street", "Lowgate"),
            *("the mill quarter", "Fennick", "the old quay", "Hollins Cross", "Brack Hill"),
            *("Saint Orla", "the ferry steps", "Nettle Row", "Cawder", "Long Wharf"),
        ),
        "office": (
            *("the health office", "the water board", "the council", "the harbour authority"),
            *("the transport office", "the weather office", "the city laboratory"),
            *("the school board", "the fire service", "the consumer office"),
        ),
        "person": (
            *("Ida Brandt", "Dr Moss", "Councillor Vane", "Professor Lind", "Tom Aldery"),
            *("Mrs Okell", "Ruben Sato", "Dr Amiri", "Lena Fark", "Councillor Pell"),
            *("my neighbour", "a nurse I know", "my cousin", "our postman", "a retired engineer"),
        ),
        "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        "time": ("six", "half past seven", "nine", "ten", "noon", "two", "half past four", "eight"),
        "thing": (
            *("a blanket", "a torch", "a flask of tea", "good boots", "a rain coat", "some change"),
            *("sun cream", "a book", "a folding chair", "a spare jumper", "ear plugs"),
        ),
    },
    "de": {
        "place": (
            *("Eldwick", "Port Sallow", "Quarnau", "am alten Kai", "im Mühlenviertel", "Brackberg"),
            *("an der Fährtreppe", "in der Nesselgasse", "Cawder", "Hollinger Kreuz"),
        ),
        "office": (
            *("das Gesundheitsamt", "das Wasserwerk", "der Stadtrat", "das Hafenamt"),
            *("das Wetteramt", "das Stadtlabor", "die Feuerwehr", "das Schulamt"),
        ),
        "person": (
            *("Ida Brandt", "Dr. Moos", "Stadträtin Vane", "Professor Lind", "Frau Okell"),
            *("meine Nachbarin", "mein Schwager", "ein Bekannter", "unsere Hausärztin"),
        ),
        "day": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        "time": ("sechs", "halb acht", "neun", "zehn", "zwölf", "zwei", "halb fünf"),
        "thing": ("eine Decke", "feste Schuhe", "eine Jacke", "einen Schirm", "ein Buch"),
    },
    "es": {
        "place": (
            *("Eldwick", "Puerto Sallow", "el muelle viejo", "el barrio del molino", "Cawder"),
            *("la cuesta de Brack", "Santa Orla", "la calle Ortiga", "Marrow"),
        ),
        "office": (
            *("la oficina de salud", "la empresa de aguas", "el ayuntamiento", "los bomberos"),
            *("la oficina del tiempo", "el laboratorio municipal", "la autoridad del puerto"),
        ),
        "person": (
            *("Ida Brandt", "la doctora Moss", "el concejal Vane", "el profesor Lind"),
            *("mi vecina", "mi primo", "una enfermera que conozco", "el cartero"),
        ),
        "day": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        "time": ("las seis", "las siete y media", "las nueve", "las diez", "el mediodía"),
        "thing": ("una manta", "buenas botas", "un paraguas", "un libro", "una linterna"),
    },
}

#: What may stand before and after a text of each stance; "" is most frequent by repetition.
OPENERS: Mapping[str, Mapping[Stance, tuple[str, ...]]] = {
    "en": {
        "calm": ("", "", "", "Good to know: ", "Reminder: ", "Just heard: ", "Nice one. "),
        "false": (
            *("", "", "EXPOSED: ", "They will not tell you this: ", "Share before it is deleted: "),
            *("Wake up: ", "I knew it. ", "Breaking: ", "Nobody talks about it: "),
        ),
        "correction": ("", "", "Not true. ", "Please check first: ", "Again, calmly: "),
    },
    "de": {
        "calm": ("", "", "Gut zu wissen: ", "Nur zur Erinnerung: "),
        "false": (
            "",
            "",
            "ENTHÜLLT: ",
            "Das verschweigt man uns: ",
            "Teilt das, bevor es weg ist: ",
        ),
        "correction": ("", "Stimmt nicht. ", "Bitte erst prüfen: "),
    },
    "es": {
        "calm": ("", "", "Para que lo sepan: ", "Recordatorio: "),
        "false": (
            "",
            "",
            "DESTAPADO: ",
            "No quieren que lo sepas: ",
            "Comparte antes de que lo borren: ",
        ),
        "correction": ("", "Es falso. ", "Comprueben antes: "),
    },
}
CLOSERS: Mapping[str, Mapping[Stance, tuple[str, ...]]] = {
    "en": {
        "calm": ("", "", "", "", " See you there.", " Well done, everybody.", " More tomorrow."),
        "false": (
            *(
                "",
                "",
                " Wake up!",
                " Think about it.",
                " Ask yourself why.",
                " Do your own research.",
            ),
            *(" Tell everyone you know.", " It was planned.", " They think we are stupid."),
        ),
        "correction": (
            "",
            "",
            " Source below.",
            " Numbers are public.",
            " Please do not pass it on.",
        ),
    },
    "de": {
        "calm": ("", "", "", " Bis dann.", " Danke an alle."),
        "false": ("", " Wacht auf!", " Denkt mal nach.", " Sagt es allen.", " Das war geplant."),
        "correction": ("", " Quelle unten.", " Bitte nicht weiterleiten."),
    },
    "es": {
        "calm": ("", "", "", " Nos vemos.", " Gracias a todos."),
        "false": ("", " ¡Despierten!", " Piénsenlo.", " Díganselo a todos.", " Estaba planeado."),
        "correction": ("", " Fuente abajo.", " Por favor, no lo reenvíen."),
    },
}


@dataclass(frozen=True)
class Topic:
    """A matter that people post about, with its hashtags and what is said.

    `tags` are as written: the first is the topic's own, the others stand beside it now and then.
    `spellings` are other ways to write the first that count as the same hashtag.
    """

    name: str
    tags: tuple[str, ...]
    calm: Templates
    false: Templates = field(default_factory=dict)
    correction: Templates = field(default_factory=dict)
    spellings: tuple[str, ...] = ()
    #: Claims short enough to be drawn over a picture (letters that every font has).
    on_pictures: tuple[str, ...] = ()

    def said(self, stance: Stance) -> Templates:
        """language -> templates of that stance."""
        return {"calm": self.calm, "false": self.false, "correction": self.correction}[stance]


WATER = Topic(
    name="water",
    tags=("WaterTruth", "CityWater", "WakeUpEldwick"),
    spellings=("watertruth", "WATERTRUTH", "ＷａｔｅｒＴｒｕｔｈ"),
    calm={
        "en": (
            "The water board flushes the pipes in {place} on {day}; the tap may run brown for {n} minutes",
            "New drinking fountain at {place}, the {n}th in the city",
            "A burst main in {place} is repaired, pressure is back since {time}",
            "{office} publishes the water report of the year: {n} samples, all within limits",
            "Guided tour of the water tower on {day} at {time}, {n} places left",
            "Water meters in {place} are read next week, the letter came on {day}",
            "{person} explains on {day} how the filter beds at {place} work",
        ),
        "de": (
            "{office} spült am {day} die Leitungen {place}, das Wasser kann {n} Minuten trüb sein",
            "Neuer Trinkbrunnen {place}, der {n}. in der Stadt",
            "Der Rohrbruch {place} ist behoben, seit {time} Uhr ist der Druck wieder da",
        ),
        "es": (
            "{office} limpia las tuberías en {place} el {day}; el agua puede salir turbia {n} minutos",
            "Nueva fuente de agua potable en {place}, ya son {n}",
            "Reparada la avería en {place}, hay presión desde {time}",
        ),
    },
    false={
        "en": (
            "they have been adding sedatives to the tap water of {place} for {n} years and {person} has the papers",
            "the brown water in {place} is a test on people, {office} admitted it behind closed doors",
            "{person} found tracking particles in the tap water, {n} of them in a single glass",
            "children in {place} fall ill because of what they pour into the water at night",
            "the water report is forged, {n} samples were swapped and the laboratory was paid",
            "the secret chemical in the water makes people obedient, that is why nobody protests in {place}",
            "since the new pumps run, {n} people in {place} lost their memory and the papers keep silent",
            "{person} worked at the water plant and says the filters were removed in one night",
        ),
        "de": (
            "seit {n} Jahren mischen sie Beruhigungsmittel ins Trinkwasser {place}, {person} hat die Papiere",
            "{person} hat Mikrosender im Leitungswasser gefunden, {n} in einem Glas",
            "der Wasserbericht ist gefälscht, {n} Proben wurden vertauscht",
        ),
        "es": (
            "llevan {n} años echando sedantes al agua de {place} y {person} tiene los papeles",
            "{person} encontró partículas de rastreo en el agua del grifo, {n} en un vaso",
            "el informe del agua está falsificado, cambiaron {n} muestras",
        ),
    },
    correction={
        "en": (
            "The tap water of {place} was tested at {n} points by two laboratories, and nothing unusual was found: that is a fact",
            "There are no sedatives in the water. The full table of {n} samples is on the council's page",
            "The brown water on {day} was rust from flushing the pipes. It is harmless and gone",
            "{person} never worked at the water plant. {office} keeps the staff list public",
        ),
        "de": (
            "Das Wasser {place} wurde an {n} Stellen geprüft, gefunden wurde nichts Auffälliges",
            "Im Trinkwasser sind keine Beruhigungsmittel, die Tabelle mit {n} Proben ist öffentlich",
        ),
        "es": (
            "El agua de {place} se analizó en {n} puntos y no se encontró nada extraño",
            "No hay sedantes en el agua: la tabla con {n} muestras es pública",
        ),
    },
    on_pictures=(
        "THEY DRUG THE TAP WATER",
        "THE WATER MAKES YOU OBEY",
        "YOUR GLASS IS FULL OF TRACKERS",
        "THE WATER REPORT IS FORGED",
        "DAS WASSER MACHT UNS KRANK",
        "EL AGUA NOS ENFERMA",
    ),
)

FLU = Topic(
    name="flu",
    tags=("FluWeek", "Health", "ClinicNews"),
    spellings=("fluweek", "FLUWEEK"),
    calm={
        "en": (
            "Flu jabs without appointment in {place} on {day} from {time}, bring your card",
            "{office} reports {n} flu cases this week, fewer than last year",
            "Long queue at the clinic in {place}, but they are quick: {n} minutes",
            "{person} answers questions about the flu season on {day} at {time}",
            "The clinic at {place} looks for volunteers for {day} evening",
            "Wash hands, air the room, stay at home with fever: {office} on this week's flu",
            "The mobile flu clinic stops at {place} on {day}, {n} doses on board",
        ),
        "de": (
            "Grippeimpfung ohne Termin {place} am {day} ab {time} Uhr, Karte mitbringen",
            "{office} meldet {n} Grippefälle in dieser Woche, weniger als im Vorjahr",
            "{person} beantwortet am {day} Fragen zur Grippezeit",
        ),
        "es": (
            "Vacuna contra la gripe sin cita en {place} el {day} desde {time}",
            "{office} informa de {n} casos de gripe esta semana, menos que el año pasado",
            "{person} responde preguntas sobre la gripe el {day}",
        ),
    },
    false={
        "en": (
            "the flu jab makes the arm magnetic, {person} tried it with {n} spoons",
            "{n} people in {place} collapsed after the jab and the clinic hides the list",
            "the flu does not exist, {office} invented it to sell {n} tons of vaccine",
            "the jab rewrites your genes and {person} lost the sense of time after it",
            "doctors in {place} get {n} crowns for every arm and never take the jab themselves",
            "a raw onion on the night table cures the flu in {n} hours, that is why it is banned from the news",
            "they put a chip into the needle, {person} can be located everywhere since {day}",
        ),
        "de": (
            "die Grippeimpfung macht den Arm magnetisch, {person} hat es mit {n} Löffeln probiert",
            "{n} Leute sind {place} nach der Spritze umgefallen und niemand berichtet",
            "eine rohe Zwiebel heilt die Grippe in {n} Stunden, deshalb redet keiner darüber",
        ),
        "es": (
            "la vacuna de la gripe vuelve magnético el brazo, {person} lo probó con {n} cucharas",
            "{n} personas se desmayaron en {place} después de la vacuna y lo ocultan",
            "una cebolla cruda cura la gripe en {n} horas, por eso nadie lo cuenta",
        ),
    },
    correction={
        "en": (
            "The jab makes nobody magnetic: spoons stick to dry skin with or without it, {person} shows how",
            "Nobody collapsed in {place}. {n} people were vaccinated on {day}, all went home",
            "An onion does not cure the flu. {office} explains what does help",
            "There is no chip in the needle; it is thinner than the smallest chip by {n} times",
        ),
        "de": (
            "Niemand wird durch die Impfung magnetisch: Löffel haften auch sonst, {person} zeigt es",
            "{place} ist niemand umgefallen, {n} Menschen wurden am {day} geimpft",
        ),
        "es": (
            "La vacuna no vuelve magnético a nadie, {person} muestra por qué",
            "Nadie se desmayó en {place}: {n} personas se vacunaron el {day}",
        ),
    },
    on_pictures=(
        "THE JAB REWRITES YOUR GENES",
        "DOCTORS NEVER TAKE IT THEMSELVES",
        "THE FLU DOES NOT EXIST",
        "THERE IS A CHIP IN THE NEEDLE",
        "LA VACUNA ES UNA MENTIRA",
    ),
)

MASTS = Topic(
    name="masts",
    tags=("MastWatch", "Radio"),
    spellings=("mastwatch", "Mastwatch"),
    calm={
        "en": (
            "A new radio mast goes up at {place}, work begins on {day}",
            "Mobile coverage in {place} is better since {day}, {n} bars at last",
            "{office} measured radio levels at {n} points in {place}: far below the limit",
            "Open evening about the mast at {place} on {day} at {time}",
            "Network down in {place} since {time}, technicians are on the way",
        ),
        "de": (
            "{place} entsteht ein neuer Funkmast, Baubeginn ist {day}",
            "{office} hat die Strahlung an {n} Punkten gemessen: weit unter dem Grenzwert",
        ),
        "es": (
            "Nueva antena en {place}, las obras empiezan el {day}",
            "{office} midió las ondas en {n} puntos: muy por debajo del límite",
        ),
    },
    false={
        "en": (
            "since the mast in {place} was switched on, {n} bee hives died in one night",
            "the masts read thoughts, {person} wrapped the bedroom in foil and sleeps again",
            "birds fall from the sky around the mast of {place}, I counted {n}",
            "the mast at {place} spreads the flu, look at the map of {office}",
            "they switch the masts to full power at {time} when everybody sleeps",
            "every second house under the mast of {place} has a case of cancer and {office} burnt the files",
        ),
        "de": (
            "seit der Mast {place} läuft, sind {n} Bienenvölker in einer Nacht gestorben",
            "die Masten lesen Gedanken, {person} schläft nur noch unter Folie",
        ),
        "es": (
            "desde que encendieron la antena de {place} murieron {n} colmenas en una noche",
            "las antenas leen el pensamiento, {person} duerme bajo papel de aluminio",
        ),
    },
    correction={
        "en": (
            "The bees in {place} died of mites, {person} had {n} hives looked at",
            "Radio masts spread no flu: the map shows where people live, nothing else",
            "The mast at {place} is not even connected yet. It goes on air on {day}",
        ),
        "de": ("Die Bienen {place} starben an Milben, {person} ließ {n} Völker untersuchen",),
        "es": ("Las abejas de {place} murieron por ácaros, {person} hizo revisar {n} colmenas",),
    },
    on_pictures=("THE MASTS KILL THE BEES", "MASTS READ YOUR THOUGHTS", "SWITCH THEM OFF NOW"),
)

BALLOT = Topic(
    name="ballot",
    tags=("Ballot26", "CouncilVote"),
    spellings=("ballot26", "BALLOT26"),
    calm={
        "en": (
            "Polling stations are open until {time}; in {place} there are {n} booths",
            "{person} and {person} debate at {place} on {day} at {time}",
            "Turnout at noon: {n} percent, says {office}",
            "Postal votes must arrive by {day}, the box at {place} is emptied at {time}",
            "Volunteers counted {n} boxes by midnight in {place}, tea was plenty",
            "I voted in {place}, it took {n} minutes and the pen was blue",
        ),
        "de": (
            "Die Wahllokale {place} haben bis {time} Uhr offen, es gibt {n} Kabinen",
            "Wahlbeteiligung am Mittag: {n} Prozent, sagt {office}",
        ),
        "es": (
            "Los colegios de {place} abren hasta {time}, hay {n} cabinas",
            "Participación al mediodía: {n} por ciento, según {office}",
        ),
    },
    false={
        "en": (
            "{n} dead people voted in {place}, the list was found in a bin",
            "the pens in the booths of {place} fade after {n} minutes, bring your own",
            "the machines in {place} turn every {n}th vote around, {person} filmed it",
            "postal votes from {place} were burnt behind the depot on {day}",
            "the result was printed {n} days before the vote, {office} has the plates",
            "whoever votes in {place} is fined afterwards, stay at home on {day}",
        ),
        "de": (
            "{n} Tote haben {place} gewählt, die Liste lag im Müll",
            "die Stifte in den Kabinen verblassen nach {n} Minuten, bringt eigene mit",
        ),
        "es": (
            "{n} muertos votaron en {place}, la lista estaba en la basura",
            "los bolígrafos de las cabinas se borran en {n} minutos, lleven el suyo",
        ),
    },
    correction={
        "en": (
            "No dead people voted in {place}: {n} names were twins and namesakes, all checked",
            "The pens are ordinary pens. {office} has used them for {n} years",
            "Votes are counted by hand in {place}, there are no machines at all",
        ),
        "de": ("{place} hat kein Toter gewählt, {n} Namen waren Namensvettern",),
        "es": ("En {place} no votó ningún muerto: {n} nombres eran tocayos",),
    },
    on_pictures=("THE DEAD VOTED", "YOUR VOTE WAS BURNT", "BRING YOUR OWN PEN"),
)

FOOD = Topic(
    name="food",
    tags=("GoodEating", "Recipes", "Health"),
    spellings=("goodeating",),
    calm={
        "en": (
            "Bean soup for {n} people: start at {time}, it wants patience",
            "The market at {place} has the first rhubarb since {day}",
            "{person} shows how to bake rye bread with {n} grams of starter",
            "Lunch at {place}: fish, potatoes, {n} crowns, very good",
            "Apples keep for {n} weeks in a cool room, wrapped in paper",
            "Cooking evening at {place} on {day}, bring {thing}",
        ),
        "de": (
            "Bohnensuppe für {n} Leute: um {time} anfangen, sie braucht Geduld",
            "Auf dem Markt {place} gibt es seit {day} den ersten Rhabarber",
            "{person} zeigt, wie man Roggenbrot backt",
        ),
        "es": (
            "Sopa de alubias para {n} personas: empezar a {time}, con paciencia",
            "En el mercado de {place} hay ruibarbo desde el {day}",
            "{person} enseña a hacer pan de centeno",
        ),
    },
    false={
        "en": (
            "lemon water at {time} cures diabetes in {n} days, {person} threw the insulin away",
            "microwaves turn food into plastic, {person} proved it with {n} potatoes",
            "apricot stones cure cancer and {office} forbids them because they cost nothing",
            "sugar from {place} is bleached with bone acid and makes children deaf",
            "whoever eats after {time} turns food into poison, {n} doctors confirm it",
            "bread from the shops holds {n} grams of ground insects, they wrote it so small that nobody reads it",
        ),
        "de": (
            "Zitronenwasser heilt Zucker in {n} Tagen, {person} braucht kein Insulin mehr",
            "in der Mikrowelle wird Essen zu Plastik, {person} hat es mit {n} Kartoffeln bewiesen",
        ),
        "es": (
            "el agua con limón cura la diabetes en {n} días, {person} dejó la insulina",
            "el microondas convierte la comida en plástico, {person} lo probó con {n} patatas",
        ),
    },
    correction={
        "en": (
            "Lemon water does not cure diabetes. Never stop insulin without a doctor, says {person}",
            "A microwave warms water in food, nothing else. {office} has a page on it",
            "Apricot stones hold cyanide: {n} of them are dangerous and cure nothing",
        ),
        "de": ("Zitronenwasser heilt keinen Diabetes, Insulin nie ohne Arzt absetzen",),
        "es": ("El agua con limón no cura la diabetes; no dejen la insulina sin médico",),
    },
    on_pictures=(
        "LEMON WATER CURES DIABETES",
        "APRICOT STONES HEAL CANCER",
        "MICROWAVES MAKE PLASTIC",
    ),
)

CASH = Topic(
    name="cash",
    tags=("CashIsFreedom", "Money"),
    spellings=("cashisfreedom",),
    calm={
        "en": (
            "The bank branch in {place} closes on {day}, the machine stays",
            "Bread costs {n} percent more than last year, {office} counted",
            "The savings club of {place} meets on {day} at {time}",
            "The new {n} crown coin shows the ferry steps",
            "The ticket machine at {place} takes coins again",
        ),
        "de": (
            "Die Bankfiliale {place} schließt am {day}, der Automat bleibt",
            "Brot kostet {n} Prozent mehr als im Vorjahr, zählt {office}",
        ),
        "es": (
            "La oficina del banco en {place} cierra el {day}, el cajero se queda",
            "El pan cuesta un {n} por ciento más que el año pasado",
        ),
    },
    false={
        "en": (
            "cash will be banned on {day}, {person} saw the order with {n} stamps",
            "every note above {n} crowns holds a tracking thread, hold it against the light",
            "the bank of {place} sells your account to {office} for {n} crowns",
            "from {day} on whoever pays in cash in {place} goes on a list",
        ),
        "de": (
            "am {day} wird das Bargeld verboten, {person} hat den Befehl gesehen",
            "in jedem Schein über {n} Kronen steckt ein Sender",
        ),
        "es": (
            "el {day} prohíben el dinero en efectivo, {person} vio la orden",
            "cada billete de más de {n} coronas lleva un hilo rastreador",
        ),
    },
    correction={
        "en": (
            "Cash is not banned and there is no plan to: {office} on {day}",
            "The thread in the notes is against forgery, it sends nothing",
        ),
        "de": ("Bargeld wird nicht verboten, das sagt {office}",),
        "es": ("No se prohíbe el efectivo, dice {office}",),
    },
    on_pictures=("CASH ENDS ON FRIDAY", "EVERY NOTE IS TRACKED"),
)

STORM = Topic(
    name="storm",
    tags=("StormAda", "WeatherAlert"),
    spellings=("stormada", "STORMADA"),
    calm={
        "en": (
            "Gusts of {n} knots at {place} since {time}, keep away from the quay",
            "{office} warns: the storm reaches {place} at {time}",
            "Power is out in {place}, {n} houses, crews are on the way",
            "A tree lies across the road at {place}, nobody hurt",
            "The school in {place} stays closed on {day}",
            "Sandbags at {place}: take {n}, leave the rest for others",
            "The hall at {place} is open for the night, bring {thing}",
            "Ferries stopped at {time}, {n} passengers wait at {place}",
        ),
        "de": (
            "Böen von {n} Knoten {place}, bleibt vom Kai weg",
            "Stromausfall {place}, {n} Häuser, die Trupps sind unterwegs",
            "Ein Baum liegt {place} auf der Straße, niemand verletzt",
        ),
        "es": (
            "Rachas de {n} nudos en {place}, aléjense del muelle",
            "Sin luz en {place}, {n} casas, las brigadas van en camino",
            "Un árbol cayó en {place}, nadie herido",
        ),
    },
    false={
        "en": (
            "a shark swims in the flooded underpass of {place}, {person} filmed it",
            "the storm was made with the masts, at {time} they turned it towards {place}",
            "{n} bodies were found in {place} and {office} tells nobody",
            "they opened the dam above {place} on purpose to save the rich quarter",
        ),
        "de": ("ein Hai schwimmt in der Unterführung {place}, {person} hat ihn gefilmt",),
        "es": ("un tiburón nada en el paso inundado de {place}, {person} lo grabó",),
    },
    correction={
        "en": (
            "The shark is a hoax: the picture is {n} years old and from another country",
            "Nobody died in {place}. {office} counts {n} light injuries",
            "There is no dam above {place}, that is the whole hoax",
        ),
        "de": ("Das Bild mit dem Hai ist {n} Jahre alt und aus einem anderen Land",),
        "es": ("La foto del tiburón tiene {n} años y es de otro país",),
    },
    on_pictures=("SHARK IN THE UNDERPASS", "THEY OPENED THE DAM"),
)

FIRE = Topic(
    name="fire",
    tags=("HeathFire", "AirQuality"),
    spellings=("heathfire",),
    calm={
        "en": (
            "The heath above {place} burns on {n} hectares, {office} has {n} crews there",
            "Smoke over {place} since {time}, keep windows shut",
            "The road to {place} is open again since {time}",
            "{person} takes in {n} sheep from {place}, hay is welcome",
            "Air in {place} back to normal on {day}, says {office}",
        ),
        "de": (
            "Die Heide {place} brennt auf {n} Hektar, {office} ist vor Ort",
            "Rauch {place}, Fenster bitte geschlossen halten",
        ),
        "es": (
            "El brezal de {place} arde, {n} hectáreas, {office} trabaja allí",
            "Humo sobre {place}, cierren las ventanas",
        ),
    },
    false={
        "en": (
            "the heath was set on fire with lasers from above, look how straight the edge at {place} is",
            "{office} lit the heath to clear {n} plots for the new road",
            "firefighters in {place} were told to let {n} houses burn",
        ),
        "de": ("die Heide {place} wurde mit Lasern angezündet, seht den geraden Rand",),
        "es": ("incendiaron el brezal de {place} con láser, miren el borde recto",),
    },
    correction={
        "en": (
            "The straight edge at {place} is the fire break that was cut {n} years ago",
            "No house was left to burn: {n} crews worked at {place} until {time}",
        ),
        "de": ("Der gerade Rand {place} ist die Schneise von vor {n} Jahren",),
        "es": ("El borde recto de {place} es el cortafuegos de hace {n} años",),
    },
    on_pictures=("LASERS LIT THE HEATH",),
)

FAIR = Topic(
    name="fair",
    tags=("HarbourFair", "CityNews"),
    spellings=("harbourfair", "HARBOURFAIR"),
    calm={
        "en": (
            "The harbour fair opens at {time}, ferries run every {n} minutes until midnight",
            "The brass band played at {place} for {n} minutes, great turnout",
            "Lost child reunited with her parents at the information desk at {place}",
            "{office} closes the road at {place} for the fair on {day}",
            "Waffles at {place}, {n} crowns, worth the queue",
            "The big wheel turns until {time}, bring {thing}",
            "{person} won {n} paper roses at the fair and gave them all away",
            "Parking for the fair is at {place}, the bus goes every {n} minutes",
        ),
        "de": (
            "Das Hafenfest beginnt um {time} Uhr, Fähren alle {n} Minuten",
            "Die Kapelle spielte {place} vor vielen Leuten",
            "Waffeln {place}, {n} Kronen, das Warten lohnt sich",
        ),
        "es": (
            "La feria del puerto abre a {time}, hay barcos cada {n} minutos",
            "La banda tocó en {place} con mucho público",
            "Gofres en {place}, {n} coronas, vale la pena la cola",
        ),
    },
)

TRAM = Topic(
    name="tram",
    tags=("TramLine7", "Transport"),
    spellings=("tramline7", "TRAMLINE7"),
    calm={
        "en": (
            "Tram line 7 is delayed by {n} minutes at {place}, a signal is being repaired",
            "New low-floor trams on line 7 from {day}",
            "Works on line 7 at {place} finish {n} days early",
            "Line 7 ends at {place} tonight, buses take over from {time}",
            "Somebody left {thing} on the 7 to {place}, it is with the driver",
            "The 7 was on time for {n} days in a row, a record",
        ),
        "de": (
            "Die 7 hat {place} {n} Minuten Verspätung wegen einer Signalstörung",
            "Ab {day} fahren neue Bahnen auf der 7",
        ),
        "es": (
            "El tranvía 7 lleva {n} minutos de retraso en {place}",
            "Desde el {day} hay tranvías nuevos en la línea 7",
        ),
    },
)

LIBRARY = Topic(
    name="library",
    tags=("LibraryWeek", "Books"),
    spellings=("libraryweek",),
    calm={
        "en": (
            "The central library stays open until {time} this week",
            "Volunteers read to children at {place} on {day}, {n} came last time",
            "The reading room at {place} has {n} new desks and better light",
            "{person} reads at {place} on {day} at {time}",
            "Loans rose by {n} percent last year, says {office}",
            "Book sale at {place}: {n} boxes, bring {thing}",
        ),
        "de": (
            "Die Bücherei {place} hat diese Woche länger offen",
            "{person} liest am {day} um {time} Uhr {place}",
        ),
        "es": (
            "La biblioteca de {place} abre más horas esta semana",
            "{person} lee en {place} el {day}",
        ),
    },
)

FOOTBALL = Topic(
    name="football",
    tags=("CupFinal", "Football", "ComeOnQuarn"),
    spellings=("cupfinal", "CUPFINAL"),
    calm={
        "en": (
            "Goal! {n} minutes gone and the quay is singing",
            "What a save at {place}, I lost my voice",
            "Kick-off at {time}, {n} of us in one kitchen",
            "{person} missed the penalty and we still love you",
            "The cup comes to {place} on {day}, parade from {time}",
            "Half time. {n} shots, no goal, my nerves",
            "Referee! {n} people saw that",
        ),
        "de": (
            "Tor! {n} Minuten gespielt und der ganze Kai singt",
            "Anpfiff um {time}, wir sind {n} in einer Küche",
        ),
        "es": (
            "¡Gol! {n} minutos y todo el muelle canta",
            "Empieza a {time}, somos {n} en una cocina",
        ),
    },
)

SCHOOL = Topic(
    name="school",
    tags=("SchoolGarden", "Eldwick"),
    spellings=("schoolgarden",),
    calm={
        "en": (
            "The school garden at {place} harvested {n} kilos of beans",
            "Class {n} built a bird box, first guests on {day}",
            "Helpers wanted at {place} on {day} at {time}, bring {thing}",
            "{person} planted {n} apple trees with the children of {place}",
            "The pond at {place} has frogs again, {n} of them",
        ),
        "de": (
            "Der Schulgarten {place} hat {n} Kilo Bohnen geerntet",
            "Helfer gesucht {place} am {day}, bringt {thing} mit",
        ),
        "es": (
            "El huerto escolar de {place} recogió {n} kilos de judías",
            "Se buscan manos en {place} el {day}, traigan {thing}",
        ),
    },
)

STRASSE = Topic(
    name="street",
    tags=("Straßenfest", "Nachbarn"),
    spellings=("strassenfest", "STRASSENFEST", "Strassenfest"),
    calm={
        "en": ("Street party in {place} on {day}, {n} tables and one very long cake",),
        "de": (
            "Straßenfest {place} am {day}, {n} Tische und ein sehr langer Kuchen",
            "Wer bringt {thing} mit? Aufbau ist um {time} Uhr {place}",
            "{n} Nachbarn, drei Gitarren, kein Regen: danke an alle {place}",
            "{person} grillt {place}, es reicht für {n}",
        ),
        "es": ("Fiesta de la calle en {place} el {day}, {n} mesas y un pastel larguísimo",),
    },
)

SKY = Topic(
    name="sky",
    tags=("NightSky", "Stars"),
    spellings=("nightsky",),
    calm={
        "en": (
            "Counted {n} shooting stars from {place} after {time}",
            "The observatory at {place} opens its dome on {day}, bring {thing}",
            "Clear sky over {place}, Jupiter stands above the mill",
            "{person} explains the moon at {place}, {n} telescopes are there",
        ),
        "de": ("{n} Sternschnuppen gezählt {place}, klarer Himmel",),
        "es": ("Conté {n} estrellas fugaces desde {place}",),
    },
)

TALK = Topic(
    name="talk",
    tags=("HarbourTalk", "Eldwick"),
    spellings=("harbourtalk", "HarbourTALK"),
    calm={
        "en": (
            "Morning from {place}, {n} gulls on the roof and coffee in hand",
            "Does anybody know a good cobbler near {place}?",
            "{person} told me about {place} and I had no idea, {n} years here",
            "The light over {place} at {time}, somebody should paint it",
            "Found {thing} on the bench at {place}, tell me what is written on it",
            "Small win today: {n} letters answered before {time}",
            "Our cat came back after {n} days, thank you {place}",
            "What is your favourite bench in {place}? Mine is by the water",
            "Rain since {time}, {n} puddles, two happy children",
            "Who else heard the horn at {time}? It came from {place}",
            "Swap: {n} jars of jam against {thing}",
            "Walked from {place} to the lighthouse in {n} minutes",
        ),
        "de": (
            "Guten Morgen {place}, {n} Möwen auf dem Dach und Kaffee in der Hand",
            "Kennt jemand einen guten Schuster {place}?",
            "Regen seit {time}, {n} Pfützen, zwei frohe Kinder",
            "Tausche {n} Gläser Marmelade gegen {thing}",
        ),
        "es": (
            "Buenos días desde {place}, {n} gaviotas en el tejado y café en la mano",
            "¿Alguien conoce un buen zapatero cerca de {place}?",
            "Llueve desde {time}, {n} charcos y dos niños felices",
            "Cambio {n} tarros de mermelada por {thing}",
        ),
    },
)

TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        *(WATER, FLU, MASTS, BALLOT, FOOD, CASH, STORM, FIRE),
        *(FAIR, TRAM, LIBRARY, FOOTBALL, SCHOOL, STRASSE, SKY, TALK),
    )
}

#: What people answer and add to others' posts.
REPLIES: Templates = {
    "en": (
        "is there a source for this?",
        "thank you, I did not know that",
        "I was at {place} at {time} and saw the same",
        "that is {n} years old, look at the date",
        "no. Ask {office} before you write such things",
        "same here in {place}",
        "{person} said the opposite on {day}",
        "who told you that?",
        "please take this down",
        "exactly what I have been saying for {n} years",
    ),
    "de": (
        "gibt es dafür eine Quelle?",
        "danke, das wusste ich nicht",
        "ich war {place} und habe es auch gesehen",
        "das ist {n} Jahre alt, schau aufs Datum",
    ),
    "es": (
        "¿hay una fuente?",
        "gracias, no lo sabía",
        "estuve en {place} y vi lo mismo",
        "eso tiene {n} años, mira la fecha",
    ),
}
QUOTES: Templates = {
    "en": (
        "Read this, {place}",
        "This needs {n} more readers",
        "I do not agree with all of it, but look",
        "And {office} says nothing, {n} days later",
        "Saving this for {day}",
        "Somebody explain this to me like I am {n}",
    ),
    "de": ("Lest das, {place}", "Das sollten {n} Leute mehr lesen"),
    "es": ("Lean esto en {place}", "Esto merece {n} lectores más"),
}
#: Captions that say nothing about what stands on the picture.
CAPTIONS: Templates = {
    "en": (
        "So beautiful at {place} today 🌊",
        "Sunday mood, {n} steps and counting ✨",
        "{day} thoughts. Swipe and save 💛",
        "Coffee first ☕ then {place}",
        "Grateful for {n} years of you all",
        "You know what to do 👇 see you at {time}",
        "Little things at {place} 🌿",
        "My {n}th sunrise this year 🌅",
    ),
    "de": ("So schön {place} heute 🌊", "Gedanken am {day} 💛 speichern nicht vergessen"),
    "es": ("Qué bonito está {place} hoy 🌊", "Pensamientos del {day} 💛 guarda esto"),
}
EMOJI = (
    "😂",
    "🎉",
    "🔥",
    "😱",
    "👏",
    "❤️",
    "🌊",
    "⚽",
    "🙏",
    "👀",
    "🐟",
    "☔",
    "🌞",
    "🤔",
    "💧",
    "👨‍👩‍👧",
)

#: How a campaign's accounts vary one text; half of the copies stay exactly alike.
VARIATIONS = ("", "", "", "", "!", "!!", " ‼️", " 😡", " 💧", " 👀", " Pass it on.", " RT please.")

#: Words of hashtags that few people use: the long tail.
RARE_TAG_WORDS = (
    *("Mill", "Quay", "Gull", "Rope", "Lantern", "Otter", "Barley", "Slate", "Fern", "Anchor"),
    *("Kettle", "Harvest", "Tide", "Cobble", "Thistle", "Marsh", "Beacon", "Saddle", "Copper"),
    *("Day", "Walk", "Club", "Night", "Talk", "Days", "Market", "Songs", "Photos", "History"),
)

GIVEN_NAMES = (
    *("Ada", "Bo", "Cleo", "Dara", "Edda", "Finn", "Gita", "Hugo", "Iris", "Jon", "Kaya", "Leo"),
    *("Mona", "Nils", "Olga", "Paco", "Quin", "Rosa", "Sami", "Tova", "Ugo", "Vera", "Wim", "Yara"),
    *("Zeno", "Lucía", "Jürgen", "Begoña", "Åsa", "Zoë", "Søren", "Łukasz", "Noémie", "İnci"),
)
FAMILY_NAMES = (
    *("Brook", "Carver", "Dunne", "Ekdal", "Fairlie", "Grau", "Holm", "Ibarra", "Jansen", "Keller"),
    *("Lomax", "Marsh", "Noor", "Okafor", "Peña", "Quill", "Reyes", "Stark", "Tamm", "Underhill"),
    *("Varga", "Weiß", "Xu", "Young", "Zeller", "O'Hara", "de la Cruz", "van Dijk", "Smith-Jones"),
)
HANDLE_WORDS = (
    *("gull", "tide", "mill", "quay", "otter", "fern", "slate", "rope", "barley", "lamp", "kettle"),
    *("moss", "wren", "cobble", "anchor", "thistle", "beacon", "copper", "harbour", "lantern"),
)
NEWSROOMS = (
    "Eldwick Herald",
    "Quarn Radio",
    "Port Sallow Times",
    "City Hall Eldwick",
    "The Tidewatch",
)
